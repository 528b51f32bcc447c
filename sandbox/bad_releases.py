"""What the scenarios of bad releases share: a deployment that must be undone while green has its first stage at most.

`seconds_to_abort` counts from when green could be asked for the first time (JoinFleet) to the decision to leave it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.scenario import Moment, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.fleet.broken_engine import BrokenEngine
    from sandbox.fleet.load import Record
    from sandbox.fleet.nodes import Node
    from sandbox.scenario import Stage


@dataclass(frozen=True, slots=True)
class BadRelease:
    """A release and what is wrong with it.

    `swapped`: its weights are another model's than its golden answers. `sicken` makes green's nodes sick once they
    have loaded it. `is_hurt`: whether a user's request suffered. `words`: one of them must be in what is said of it.
    """

    name: str
    words: tuple[str, ...]
    swapped: bool = False
    sicken: Callable[[Stage, Sequence[Node]], Sequence[BrokenEngine]] = lambda _stage, _nodes: ()
    is_hurt: Callable[[Record], bool] = lambda record: record.failed
    rollouts: Mapping[str, int] = field(default_factory=dict)


def run_bad_release(bad: BadRelease, stage: Stage) -> Report:
    """One deployment, which must be undone."""
    from dataclasses import replace

    from sandbox import deployment_desk, kills, release_desk
    from sandbox.fleet.load import Plan

    region, name, old = stage.region, stage.region.model.version, stage.region.model
    new = release_desk.model_of(old.seed + 100)
    deployment_desk.prepare(stage, old, **bad.rollouts)
    given = replace(release_desk.model_of(old.seed + 200), version=new.version) if bad.swapped else new
    release_desk.register(region, name, given, answers=new)
    before, changes = deployment_desk.resources(region), len(region.rule_changes)
    load = region.start_load(Plan(release_desk.CLIENTS, release_desk.RATE, stage.seed, name))
    time.sleep(3.0)
    began = time.time()
    stage.say(f"{region.primary} is to go to {new.version}, which is bad")
    arn = deployment_desk.start(region, region.primary, new.version)
    kills.wait_for_state(region, arn, "JoinFleet", is_over=False)
    green = deployment_desk.green_of(region)
    sick = bad.sicken(stage, region.nodes.nodes(green))
    stage.say(f"{green} can be asked")
    execution = region.wait_for_end(arn, deployment_desk.LIMIT_SECONDS)
    for each in sick:
        each.end()
    seconds = time.time() - began
    region.wait_until_ready()
    records = load.stop()
    failed = [record for record in records if record.failed]
    shifted = region.rule_changes[changes:]
    most = max((100 * each.weights.get(green, 0) / sum(each.weights.values()) for each in shifted), default=0.0)
    asked_at, left_at = (deployment_desk.entered_at(region, arn, state) for state in ("JoinFleet", "LeaveGreen"))
    left = deployment_desk.leaked(before, deployment_desk.resources(region), {region.primary, region.standby})
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": len(failed),
        "requests_hurt": sum(map(bad.is_hurt, records)),
        "streams_cut": sum(record.failure == "cut" for record in records),
        "seconds_to_abort": round(left_at - asked_at, 1) if left_at and asked_at else None,
        "most_traffic_percent": round(most, 1),
        "mixed_versions_left": release_desk.mixed(region, region.primary, old.version),
        "resources_leaked": len(left),
        "seconds": round(seconds, 1),
    }
    faults = release_desk.faults_in(region, figures, "streams_cut", "mixed_versions_left", "resources_leaked")
    faults += [f"left: {each}" for each in left]
    said = f"{execution['status']}: {execution.get('error')}: {execution.get('cause')}"
    if (execution["status"], execution.get("error")) != ("FAILED", "DeploymentUndone"):
        faults.append(f"the deployment {said}")
    elif not any(word in said for word in bad.words):
        faults.append(f"it was undone for another reason: {said}")
    if most > deployment_desk.STAGES[0]:
        faults.append(f"{green} had {most:g} % of the traffic")
    if region.view().scope.desired.models:
        faults.append(f"the record says {region.view().scope.desired.models}")
    timeline = [
        Moment(0.0, "begin", f"a deployment of {new.version}"),
        *(Moment(round(each.at - began, 3), "weights", str(dict(each.weights))) for each in shifted),
        Moment(round(seconds, 3), str(execution.get("error")), str(execution.get("cause"))),
    ]
    return Report(bad.name, region.name, figures, sorted(timeline, key=lambda each: each.at), faults)


def broken(fault: str, error_rate: float | None = None) -> Callable[[Stage, Sequence[Node]], Sequence[BrokenEngine]]:
    """All nodes get a broken engine."""

    def sicken(stage: Stage, nodes: Sequence[Node]) -> Sequence[BrokenEngine]:
        from sandbox.fleet.broken_engine import BrokenEngine, Fault

        more = {} if error_rate is None else {"error_rate": error_rate}
        return [
            BrokenEngine(node.replica, Fault(fault), seed=stage.seed + number, **more)
            for number, node in enumerate(nodes)
        ]

    return sicken
