"""`failover-during-rollout`: blue, which is active, dies while a new version has the first of the traffic.

The failover takes the lease and goes to the standby: green is on trial, and no proof of anything. Nobody is at work on
the deployment any more, so the reconciler has it undone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "failover-during-rollout"
TRIAL_PERCENT: Final = 20
SHIFT_SECONDS: Final = 180.0
MOVE_SECONDS: Final = 60.0
UNDO_SECONDS: Final = 300.0


def run(stage: Stage) -> Report:
    """One deployment and one fault."""
    from sandbox import deployment_desk, release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    deployment_desk.prepare(stage, new)
    before = deployment_desk.resources(region)
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    stage.say(f"{region.primary} is to go to {new.version}")
    arn = deployment_desk.start(
        region, region.primary, new.version, stages=[TRIAL_PERCENT, 100], bake_seconds=int(SHIFT_SECONDS)
    )
    green = str(region.wait_for("green with traffic", lambda: _with_traffic(region), SHIFT_SECONDS))
    time.sleep(3.0)
    dead_at = time.time()
    stage.say(f"{region.primary} is killed while {green} has {TRIAL_PERCENT} % of the traffic")
    region.nodes.kill(region.primary)
    region.wait_for("all traffic at the standby", lambda: _is_moved(region), MOVE_SECONDS)
    moved_at = region.rule_changes[-1].at
    stage.say(f"the standby has it after {moved_at - dead_at:.1f} s; the deployment is to be undone")
    ended = region.wait_for_end(arn, MOVE_SECONDS)
    region.wait_for("the deployment to be undone", lambda: _is_settled(region), UNDO_SECONDS)
    undone_at = time.time()
    time.sleep(2.0)
    records = load.stop()
    failed = [record for record in records if record.failed]
    changes = [each for each in region.rule_changes if each.at > dead_at]
    most = max((100 * each.weights.get(green, 0) / sum(each.weights.values()) for each in changes), default=0.0)
    left = deployment_desk.leaked(before, deployment_desk.resources(region), {region.primary, region.standby})
    desired = region.view().scope.desired
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": len(failed),
        "failed_requests_after_the_move": sum(record.sent_at > moved_at + 1.0 for record in failed),
        "requests_hurt": len(failed),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "seconds_to_move": round(moved_at - dead_at, 1),
        "seconds_to_abort": round(undone_at - dead_at, 1),
        "most_traffic_percent_of_green_after_the_fault": round(most, 1),
        "mixed_versions_left": release_desk.mixed(region, region.standby, old.version),
        "resources_leaked": len(left),
    }
    faults = release_desk.faults_in(
        region, figures, "failed_requests_after_the_move", "mixed_versions_left", "resources_leaked"
    )
    faults += [f"left: {each}" for each in left]
    if most > TRIAL_PERCENT:
        faults.append(f"{green} had {most:g} % of the traffic after the fault")
    if (ended["status"], ended.get("error")) != ("FAILED", "DeploymentStopped"):
        faults.append(f"the deployment {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    if desired.weights.get(region.standby) != sum(desired.weights.values()) or green in desired.roles:
        faults.append(f"weights {dict(desired.weights)}, roles {dict(desired.roles)}")
    timeline = [
        Moment(0.0, "fault", f"every replica of {region.primary} is killed"),
        *(Moment(round(each.at - dead_at, 3), "weights", str(dict(each.weights))) for each in changes),
        Moment(round(undone_at - dead_at, 3), "undone", str(ended.get("cause"))),
    ]
    return Report(NAME, region.name, figures, sorted(timeline, key=lambda each: each.at), faults)


def _with_traffic(region: SandboxRegion) -> str:
    """Green, once the front door gives it traffic."""
    from sandbox import deployment_desk

    green = deployment_desk.green_of(region)
    return green if region.rule_changes and region.rule_changes[-1].weights.get(green) else ""


def _is_moved(region: SandboxRegion) -> bool:
    weights = region.rule_changes[-1].weights
    return bool(weights.get(region.standby)) and weights[region.standby] == sum(weights.values())


def _is_settled(region: SandboxRegion) -> bool:
    scope = region.view().scope
    return scope.lease.holder is None and scope.desired.deployment is None


SCENARIO = Scenario(NAME, "the active cluster dies while a new version bakes: the standby has it, never green", run)
