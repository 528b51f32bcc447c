"""`restore-crash`: a restore is killed after each of its states; what was is there again, and a new one succeeds.

Killed as a person or AWS stops it, so that no Catch runs. What EventBridge says of it starts put-back-restore.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "restore-crash"
PUT_BACK_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 47


def run(stage: Stage) -> Report:
    """Every state, one after the other."""
    from sandbox import kills, restores

    region, say = stage.region, stage.say
    began = time.time()
    restores.succeeded(region, "backup", {"reason": "the scenario"})
    stage.sandbox.apply_config(failover={"drain_seconds": DRAIN_SECONDS})
    before = restores.matters(region)
    timeline, faults, whole, worst = [], [], 0, 0.0
    points = restores.STATES[:-1]  # once it is committed there is nothing to put back
    for state in points:
        with kills.slow_transitions(region.cloud):
            arn = restores.start(region, restores.ASKED)
            kills.wait_for_state(region, arn, state, is_over=True)
            killed = restores.kill(region, arn)
        killed_at = time.time()
        region.wait_for("the restore to be put back", lambda: restores.undone(region), PUT_BACK_SECONDS)
        region.wait_for("the lease to be free", lambda: restores.matters(region)["holder"] is None, PUT_BACK_SECONDS)
        took, after = time.time() - killed_at, restores.matters(region)
        worst = max(worst, took)
        wrong = [
            f"after {state}: {key} is {after[key]}, was {before[key]}" for key in before if after[key] != before[key]
        ]
        wrong += [] if killed else [f"after {state}: the execution had ended by itself"]
        whole += not wrong
        faults += wrong
        said = "; ".join(wrong) or f"whole again in {took:.1f} s"
        timeline.append(Moment(round(time.time() - began, 3), f"killed after {state}", said))
        say(f"killed after {state}: {said}")
    restored = restores.succeeded(region, "restore", restores.ASKED)
    drain = region.view().applied.config.failover.drain_seconds
    if drain == DRAIN_SECONDS:
        faults.append("the last restore, which nobody killed, changed nothing")
    figures: dict[str, Any] = {
        "kills": len(points),
        "put_back": whole,
        "worst_put_back_seconds": round(worst, 3),
        "recovery_seconds": restored["recovery_seconds"],
        "failed_requests": sum(record.failed for record in stage.load.records()),
    }
    if figures["failed_requests"]:
        faults.append(f"{figures['failed_requests']} requests failed, and none may")
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]
    return Report(NAME, region.name, figures, timeline, faults)


SCENARIO = Scenario(NAME, "a restore killed after each of its states: put back each time, and no request fails", run)
