"""`watcher-dies`: the watch is killed in mid-pass, twice. First alone: how long until a watch watches again? Then the
active cluster dies with it: an alarm, or the watch that an alarm or the schedule brought back, must start the failover.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "watcher-dies"
GAP_LIMIT_SECONDS: Final = 75.0
"""The schedule alone starts a watch each minute; a cold start and a first pass come on top."""
LIMIT_SECONDS: Final = 120.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    witness = Witness(region)
    time.sleep(0.4)  # within a pass
    gap = _gap(stage, region)
    say(f"a watch watches again after {gap:.1f} s")
    time.sleep(15.0)  # the alarm is over, and the next silence is a new one
    before = len(witness.failovers())
    again = Witness(region)
    _kill(region)
    region.nodes.kill(region.primary)
    say(f"the watch is killed again, and every replica of {region.primary} with it")
    region.wait_for("a failover", lambda: len(again.failovers()) > 0, LIMIT_SECONDS)
    (failover, *more) = again.failovers()
    ended = region.wait_for_end(failover["executionArn"], LIMIT_SECONDS)
    region.wait_for("the service to answer", lambda: again.outage().recovered_at is not None, LIMIT_SECONDS)
    time.sleep(10.0)
    seen = again.outage()
    trigger = str(json.loads(failover["input"]).get("trigger"))
    found = {
        "watch_gap_seconds": round(gap, 3),
        "recovery_seconds": seen.seconds,
        "started_after_seconds": round(failover["startDate"].timestamp() - again.began_at, 3),
        "started_by": trigger,
        "failovers_started": len(again.failovers()),
        "failed_requests": seen.failed_requests,
        "failed_after_recovery": seen.failed_after_recovery,
        "pages": len(again.messages("page")),
    }
    say(f"recovered in {seen.seconds or 0.0:.1f} s; started by: {trigger}")
    faults = witness.faults()
    if gap > GAP_LIMIT_SECONDS:
        faults.append(f"watch_gap_seconds is {gap:.1f}, at most {GAP_LIMIT_SECONDS:g} is wanted")
    if before or more:
        faults.append(f"{before} failovers without a cause, {1 + len(more)} for one failure")
    if ended["status"] != "SUCCEEDED":
        faults.append(f"the failover {ended['status']}: {ended.get('cause')}")
    if seen.failed_after_recovery:
        faults.append(f"{seen.failed_after_recovery} requests failed after the recovery")
    return Report(NAME, stage.region_name, found, [Moment(0.0, "the watch is killed"), *witness.timeline()], faults)


def _kill(region: SandboxRegion) -> None:
    region.cloud.environments.stop(region.function_arn("watch-endpoints"), active=True)


def _gap(stage: Stage, region: SandboxRegion) -> float:
    """Kill the watch; seconds until a later run has it."""
    generation = region.view().relay
    _kill(region)
    killed_at = time.time()
    stage.say("the watch is killed in mid-pass")
    region.wait_for("a later run to have the watch", lambda: region.view().relay > generation, LIMIT_SECONDS)
    return time.time() - killed_at


SCENARIO = Scenario(NAME, "the watch is killed in mid-pass; then again, together with the active cluster", run)
