"""`region-gray`: a Region answers its health check and fails its users. It gives itself up, to a peer with room.

Every engine of both of its clusters answers each completion with an error and `/health` with 200. Its own failover has
nothing to go to, Route 53's front-door check sees nothing: two voices must move its users, its own and another.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Stage

NAME: Final = "region-gray"
SETTLE_SECONDS: Final = 25.0
LIMIT_SECONDS: Final = 200.0
MOST_SECONDS: Final = 120.0


def run(stage: Stage) -> Report:
    """Once; the engines are mended at the end."""
    from sandbox import edge
    from sandbox.fleet.broken_engine import BrokenEngine, Fault

    sandbox, gray = stage.sandbox, stage.region
    others = [region for region in sandbox.regions.values() if region is not gray]
    name = sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    told = {stack.name: len(stack.messages()) for stack in sandbox.stacks}
    before = {region.name: len(edge.records_of(region)) for region in others}
    with ExitStack() as broken:
        for cluster_id in (gray.standby, gray.primary):  # first the one that serves nobody, to be quick with the other
            fault_at = time.time()
            for number, node in enumerate(gray.nodes.nodes(cluster_id)):
                broken.enter_context(BrokenEngine(node.replica, Fault.OUT, seed=stage.seed + number))
        stage.say(f"the fault: every engine in {gray.name} fails its completions, and says that it is well")
        departure = edge.follow(sandbox, name, gray, fault_at, LIMIT_SECONDS, stage.say)
        shut = name.front_door_failures(gray.name, fault_at)
    elsewhere = [record for region in others for record in edge.records_of(region)[before[region.name] :]]
    messages = [(stack.name, each) for stack in sandbox.stacks for each in stack.messages()[told[stack.name] :]]
    figures = departure.figures() | {
        "front_door_failures": shut,
        "failed_requests_elsewhere": sum(record.failed for record in elsewhere),
        "pages": sum(message.topic == "page" for _, message in messages),
    }
    timeline = departure.timeline(f"gray: every completion in {gray.name} fails, /health answers 200")
    timeline += [Moment(round(each.at - fault_at, 3), each.topic, f"{at}: {each.subject}") for at, each in messages]
    faults = problems(figures)
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    return Report(NAME, gray.name, figures, sorted(timeline, key=lambda moment: moment.at), faults)


def problems(figures: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    faults = []
    recovery = figures["recovery_seconds"]
    if recovery is None or recovery > MOST_SECONDS:
        faults.append(f"recovery_seconds: {recovery}, {MOST_SECONDS:g} at most is wanted")
    if figures["own_seconds"] is None:
        faults.append("nobody condemned it")
    faults += [
        f"{key}: {figures[key]}, 0 is wanted"
        for key in ("failed_after_recovery", "failed_requests_elsewhere", "front_door_failures")
        if figures[key]
    ]
    if not figures["pages"]:
        faults.append("nobody was paged")
    return faults


SCENARIO = Scenario(NAME, "a Region answers its health check and fails its users: it gives itself up", run)
