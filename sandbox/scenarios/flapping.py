"""`flapping`: the active cluster's engines die every 20 s and come back. One failover; then it is left where it stands.

The cluster that comes back is quarantined, so no traffic goes back by itself, however well it looks in between. The
assessments, asked for while it is down and while it is up, believe it later each time (`standfast.damping`).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "flapping"
EVERY_SECONDS: Final = 20.0
DOWN_SECONDS: Final = 8.0
"""Longer than it takes to fail over, so that each fall is one."""
FALLS: Final = 10
"""Over three minutes: 10 falls, 20 s apart."""
LIMIT_SECONDS: Final = 60.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness
    from standfast.damping import wait_seconds

    region, say = stage.region, stage.say
    witness = Witness(region)
    falls: list[float] = []
    waits: list[float] = []
    for number in range(1, FALLS + 1):
        falls.append(time.time())
        region.nodes.kill(region.primary)
        say(f"fall {number} of {FALLS}: every replica of {region.primary} is killed")
        _assess(region, falls[-1] + DOWN_SECONDS)
        region.nodes.revive(region.primary)
        _assess(region, falls[-1] + EVERY_SECONDS)
        checked = region.view().checks[region.primary]
        waits.append(wait_seconds(checked.history.relapses))
        say(f"it is back; the assessment finds it {checked.verdict}: {checked.reason}")
    for failover in witness.failovers():
        region.wait_for_end(failover["executionArn"], LIMIT_SECONDS)
    moved = next((change.at for change in witness.rule_changes() if change.weights.get(region.standby)), falls[0])
    seen = witness.outage()
    found: dict[str, Any] = {
        "failovers": len(witness.failovers()),
        "falls": len(falls),
        "flapped_seconds": round(time.time() - falls[0], 1),
        "weight_changes": len(witness.rule_changes()),
        "hold_down_seconds": waits,
        "recovery_seconds": seen.seconds and round(seen.seconds, 3),
        "failed_requests": seen.failed_requests,
        "failed_after_second_fall": _failed_since(region, falls[1]),
        "pages": len(witness.messages("page")),
    }
    faults = problems(found, region.view().scope.desired.roles, region.primary) + witness.faults()
    timeline = [Moment(round(at - falls[0], 3), "fall", f"every replica of {region.primary}") for at in falls]
    timeline += witness.timeline()
    say(f"{found['failovers']} failovers, {found['weight_changes']} changes, moved after {moved - falls[0]:.1f} s")
    return Report(NAME, stage.region_name, found, sorted(timeline, key=lambda moment: moment.at), faults)


def _assess(region: SandboxRegion, until: float) -> None:
    """Have the clusters assessed now, as from the console, and wait until a moment."""
    started = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console"})
    )
    region.wait_for_end(started["executionArn"], LIMIT_SECONDS)
    time.sleep(max(0.0, until - time.time()))


def _failed_since(region: SandboxRegion, moment: float) -> int:
    """Requests that were sent since and failed."""
    records = region.load.records() if region.load is not None else []
    return sum(not record.ok and record.sent_at >= moment for record in records)


def problems(found: Mapping[str, Any], roles: Mapping[str, str], flapping: str) -> list[str]:
    """What did not come out as it must."""
    wanted = {"failovers": 1, "weight_changes": 1, "failed_after_second_fall": 0}
    faults = [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    if roles.get(flapping) != "quarantined":
        faults.append(f"{flapping} is {roles.get(flapping)}, quarantined is wanted")
    if not grows(found["hold_down_seconds"]):
        faults.append(f"the hold-down does not grow: {found['hold_down_seconds']}")
    return faults


def grows(waits: Sequence[float]) -> bool:
    """Whether the hold-down never shrank and is longer in the end than after the first fall."""
    return list(waits) == sorted(waits) and len(waits) > 1 and waits[-1] > waits[0]


SCENARIO = Scenario(NAME, "the active cluster dies every 20 s and comes back: one failover, no ping-pong", run)
