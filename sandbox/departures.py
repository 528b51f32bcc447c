"""What the scenarios share in which a Region fails its users: a fault, followed to its end, in figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox import edge
from sandbox.scenario import Moment, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.edge import Departure
    from sandbox.global_name import GlobalName
    from sandbox.scenario import Stage

SETTLE_SECONDS: Final = 25.0
"""Longer than a TTL: then every client's answer has its own age."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`break_it` breaks the Region, and answers when the fault was whole; None for at once. `words` say what it is.

    `is_silent`: nothing that the Region's own stack says reaches anybody.
    """

    words: str
    break_it: Callable[[], float | None]
    is_silent: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """What came of a fault. `figures` lack what a scenario adds."""

    name: GlobalName
    departure: Departure
    figures: dict[str, Any]
    timeline: list[Moment]
    denials: list[str]

    def report(self, scenario: str, faults: list[str]) -> Report:
        """With what did not come out as it must."""
        timeline = sorted(self.timeline, key=lambda moment: moment.at)
        return Report(scenario, self.departure.region, self.figures, timeline, [*faults, *self.denials])


def tell(stage: Stage, fault: Fault, limit_seconds: float) -> Story:
    """Break the stage's Region under load, and follow its users until they are served elsewhere, or the limit."""
    sandbox, lost = stage.sandbox, stage.region
    others = [region for region in sandbox.regions.values() if region is not lost]
    heard = [stack for stack in sandbox.stacks if not (fault.is_silent and stack is lost)]
    name = sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    told = {stack.name: len(stack.messages()) for stack in heard}
    before = {region.name: len(edge.records_of(region)) for region in others}
    began = time.time()
    fault_at = fault.break_it() or began
    stage.say(f"the fault: {fault.words}")
    departure = edge.follow(sandbox, name, lost, fault_at, limit_seconds, stage.say)
    elsewhere = [record for region in others for record in edge.records_of(region)[before[region.name] :]]
    messages = [(stack.name, each) for stack in heard for each in stack.messages()[told[stack.name] :]]
    figures = departure.figures() | {
        "served_elsewhere": sum(count for place, count in departure.served.items() if place != lost.name),
        "failed_requests_elsewhere": sum(record.failed for record in elsewhere),
        "pages": sum(message.topic == "page" for _, message in messages),
    }
    timeline = departure.timeline(fault.words)
    timeline += [Moment(round(each.at - fault_at, 3), each.topic, f"{at}: {each.subject}") for at, each in messages]
    denials = [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    return Story(name, departure, figures, timeline, denials)
