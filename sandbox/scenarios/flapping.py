"""`flapping`: the active cluster's engines die every 20 s and come back. Two acts.

1. The standby's own switch keeps automation away from it, so there is nothing to go to: each fall is an attempt that
   gives up, and the hold-down before the next doubles.
2. The standby may be used again. One failover; then, for over three minutes, the cluster goes on flapping and nothing
   moves: it is quarantined, and no traffic goes back by itself, however well it looks in between.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.scenario import Stage
    from sandbox.witness import Witness

NAME: Final = "flapping"
EVERY_SECONDS: Final = 20.0
DOWN_SECONDS: Final = 8.0
"""Longer than it takes to fail over, so that each fall is one."""
HELD_FALLS: Final = 3
FALLS: Final = 10
"""Over three minutes: 10 falls, 20 s apart."""
HOLD_DOWN_SECONDS: Final = 5
"""Shorter than by default (60 s), so that each fall of the first act meets an attempt."""
LIMIT_SECONDS: Final = 60.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    stage.sandbox.apply_config(failover={"hold_down_seconds": HOLD_DOWN_SECONDS})
    _hold_standby(stage, "observe")
    held = Witness(region)
    waits = [_fall(stage, held, number, HELD_FALLS) for number in range(1, HELD_FALLS + 1)]
    say(f"nothing to go to: hold-downs of {', '.join(f'{wait:.0f} s' for wait in waits)}")
    _hold_standby(stage, "run")
    time.sleep(max(0.0, region.view().scope.not_before - time.time()))
    region.wait_until_ready()
    witness = Witness(region)
    falls: list[float] = []
    for number in range(1, FALLS + 1):
        falls.append(time.time())
        _fall(stage, witness, number, FALLS)
    seen = witness.outage()
    found: dict[str, Any] = {
        "failovers": len(witness.failovers()),
        "falls": len(falls),
        "flapped_seconds": round(time.time() - falls[0], 1),
        "weight_changes": len(witness.rule_changes()),
        "hold_down_seconds": [round(wait, 1) for wait in waits],
        "weight_changes_while_held": len([change for change in held.rule_changes() if change.at < witness.began_at]),
        "recovery_seconds": seen.seconds and round(seen.seconds, 3),
        "failed_requests": seen.failed_requests,
        "failed_after_second_fall": sum(not each.ok and each.sent_at >= falls[1] for each in stage.load.records()),
        "pages": len(witness.messages("page")),
    }
    faults = problems(found, region.view().scope.desired.roles, region.primary) + held.faults()
    timeline = [
        Moment(round(at - held.began_at, 3), "fall", f"{region.primary}, with a standby to go to") for at in falls
    ]
    timeline += held.timeline()
    return Report(NAME, stage.region_name, found, sorted(timeline, key=lambda moment: moment.at), faults)


def _hold_standby(stage: Stage, automation: str) -> None:
    payload = {
        "automation": automation,
        "cluster_id": stage.region.standby,
        "reason": "a person is at work on it" if automation == "observe" else "it may be used again",
        "set_by": "sandbox",
    }
    stage.sandbox.stacks[0].invoke("set-switch", payload)


def _fall(stage: Stage, witness: Witness, number: int, of: int) -> float:
    """The active cluster dies and comes back. Answers the hold-down that stands after the latest attempt, in seconds;
    0 where none was needed."""
    region = stage.region
    began_at = time.time()
    region.nodes.kill(region.primary)
    stage.say(f"fall {number} of {of}: every replica of {region.primary} is killed")
    time.sleep(DOWN_SECONDS)
    region.nodes.revive(region.primary)
    ended = [region.wait_for_end(each["executionArn"], LIMIT_SECONDS) for each in witness.failovers()]
    not_before = region.view().scope.not_before
    time.sleep(max(0.0, began_at + EVERY_SECONDS - time.time()))
    return float(max(0.0, not_before - ended[-1]["stopDate"].timestamp())) if ended else 0.0


def problems(found: Mapping[str, Any], roles: Mapping[str, str], flapping: str) -> list[str]:
    """What did not come out as it must."""
    wanted = {"failovers": 1, "weight_changes": 1, "weight_changes_while_held": 0, "failed_after_second_fall": 0}
    faults = [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    if roles.get(flapping) != "quarantined":
        faults.append(f"{flapping} is {roles.get(flapping)}, quarantined is wanted")
    if not grows(found["hold_down_seconds"]):
        faults.append(f"the hold-down does not grow: {found['hold_down_seconds']}")
    return faults


def grows(waits: Sequence[float]) -> bool:
    """Whether each hold-down is longer than the one before."""
    return len(waits) > 1 and all(after > before for before, after in pairwise(waits))


SCENARIO = Scenario(NAME, "the active cluster dies every 20 s and comes back: one failover, no ping-pong", run)
