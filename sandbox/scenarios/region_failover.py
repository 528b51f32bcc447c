"""`region-failover`: everything in a Region goes at once, its control plane too. Its users are led to the other one.

Nobody writes a record: who is left condemns the Region in its own state, the health checkers ask, and each client goes
on to the dead Region until the answer that it believes is too old. Where the seconds go is told apart.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Stage

NAME: Final = "region-failover"
SETTLE_SECONDS: Final = 25.0
"""Longer than a TTL: then every client's answer has its own age."""
LIMIT_SECONDS: Final = 150.0
MOST_SECONDS: Final = 90.0
MOST_OWN_SECONDS: Final = 20.0


def run(stage: Stage) -> Report:
    """Once: a Region that was lost is not what it was before."""
    from sandbox import edge

    sandbox, lost = stage.sandbox, stage.region
    others = [region for region in sandbox.regions.values() if region is not lost]
    staying = [stack for stack in sandbox.stacks if stack is not lost]
    name = sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    told = {stack.name: len(stack.messages()) for stack in staying}
    before = {region.name: len(edge.records_of(region)) for region in others}
    fault_at = time.time()
    sandbox.lose(lost.name)
    stage.say(f"the fault: {lost.name} is gone, its control plane too")
    departure = edge.follow(sandbox, name, lost, fault_at, LIMIT_SECONDS, stage.say)
    elsewhere = [record for region in others for record in edge.records_of(region)[before[region.name] :]]
    messages = [(stack.name, each) for stack in staying for each in stack.messages()[told[stack.name] :]]
    figures = departure.figures() | {
        "served_elsewhere": sum(count for place, count in departure.served.items() if place != lost.name),
        "failed_requests_elsewhere": sum(record.failed for record in elsewhere),
        "pages": sum(message.topic == "page" for _, message in messages),
    }
    timeline = departure.timeline(f"everything in {lost.name}")
    timeline += [Moment(round(each.at - fault_at, 3), each.topic, f"{at}: {each.subject}") for at, each in messages]
    faults = problems(figures)
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    return Report(NAME, lost.name, figures, sorted(timeline, key=lambda moment: moment.at), faults)


def problems(figures: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    recovery, own = figures["recovery_seconds"], figures["own_seconds"]
    faults = []
    if recovery is None or recovery > MOST_SECONDS:
        faults.append(f"recovery_seconds: {recovery}, {MOST_SECONDS:g} at most is wanted")
    if own is None or own > MOST_OWN_SECONDS:
        faults.append(f"own_seconds: {own}, {MOST_OWN_SECONDS:g} at most is wanted")
    faults += [
        f"{key}: {figures[key]}, 0 is wanted"
        for key in ("failed_after_recovery", "failed_requests_elsewhere")
        if figures[key]
    ]
    if not figures["pages"]:
        faults.append("nobody was paged")
    return faults


SCENARIO = Scenario(NAME, "everything in a Region goes at once: users are led to the other one", run)
