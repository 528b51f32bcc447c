"""`lost-metrics`: CloudWatch takes and gives nothing, Systems Manager is away. While the service is well nothing moves;
when the active cluster dies in the midst of it, the watch, which needs neither, fails over all the same. A person is
told at once that monitoring is blind, by one page.

The outage is shorter than a node report may be old (90 s, law 2): beyond that no standby is proven, and a person is
told.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "lost-metrics"
QUIET_SECONDS: Final = 20.0
LIMIT_SECONDS: Final = 60.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    metrics = region.cloud.monitoring.metrics
    quiet = Witness(region)
    metrics.silence(region.name)
    metrics.lose_reads(region.name)
    region.cloud.run_command.take_away(region.name)
    say("CloudWatch and Systems Manager are away in this Region")
    try:
        started = region.client("stepfunctions").start_execution(
            stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console"})
        )
        assessed = region.wait_for_end(started["executionArn"], LIMIT_SECONDS)
        checked = region.view().checks[region.primary]
        say(f"assessed {checked.verdict}: " + "; ".join(f"{each.name} {each.verdict}" for each in checked.checks))
        time.sleep(max(0.0, quiet.began_at + QUIET_SECONDS - time.time()))
        still = quiet.figures()
        loss = Witness(region)
        region.nodes.kill(region.primary)
        say(f"every replica of {region.primary} is killed")
        region.wait_for("a failover", lambda: len(loss.failovers()) > 0, LIMIT_SECONDS)
        ended = region.wait_for_end(loss.failovers()[0]["executionArn"], LIMIT_SECONDS + 30.0)
        region.wait_for("the service to answer", lambda: loss.outage().recovered_at is not None, LIMIT_SECONDS)
        time.sleep(10.0)
    finally:
        metrics.restore()
        region.cloud.run_command.restore()
    seen = loss.outage()
    unknown = sorted(each.name for each in checked.checks if each.verdict == "unknown")
    found = {
        "weight_changes": still["weight_changes"],
        "failovers_started": still["failovers_started"],
        "pages": still["pages"],
        "unknown_checks": len(unknown),
        "recovery_seconds": seen.seconds,
        "failed_after_recovery": seen.failed_after_recovery,
    }
    faults = quiet.faults()
    wanted = dict.fromkeys(still, 0) | {"pages": 1}
    faults += [
        f"while the service was well, {key} was {value} and not {wanted[key]}"
        for key, value in still.items()
        if value != wanted[key]
    ]
    if assessed["status"] != "SUCCEEDED" or unknown != ["errors", "gpu"]:
        faults.append(f"the assessment {assessed['status']}, unknown are {unknown}")
    if ended["status"] != "SUCCEEDED" or len(loss.failovers()) != 1:
        faults.append(f"{len(loss.failovers())} failovers; the first {ended['status']}: {ended.get('cause')}")
    if seen.failed_after_recovery:
        faults.append(f"{seen.failed_after_recovery} requests failed after the recovery")
    return Report(NAME, stage.region_name, found, quiet.timeline(), faults)


SCENARIO = Scenario(NAME, "metrics and node reports are away: nothing moves; then the active cluster dies", run)
