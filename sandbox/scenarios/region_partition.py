"""`region-partition`: a Region sees the world and nobody sees it. One decision is made about it, by those who stay.

It goes on in the belief that all is well, and cannot write the state that the Regions share: whatever it thought, it
could decide nothing. The decision core under random partitions is measured apart (`sandbox.region_partitions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Report, Stage

NAME: Final = "region-partition"
LIMIT_SECONDS: Final = 150.0
MOST_SECONDS: Final = 90.0


def run(stage: Stage) -> Report:
    """Once; the network is whole again at the end."""
    from sandbox import edge, region_moves
    from sandbox.departures import Fault, tell

    sandbox, hidden = stage.sandbox, stage.region
    network = sandbox.cloud.network
    fault = Fault(f"nobody reaches {hidden.name}, and it reaches everybody", lambda: network.hide(hidden.name))
    try:
        story = tell(stage, fault, LIMIT_SECONDS)
        made = [(stack.name, each) for stack in sandbox.stacks for each in region_moves.executions(stack)]
        decisions = [at for at, each in made if each["status"] == "SUCCEEDED"]
        condemned = {region for stack in sandbox.stacks for region in edge.record(stack).condemned}
    finally:
        network.mend()
    story.figures.update(
        decisions=len(decisions),
        double_decisions=max(0, len(decisions) - 1) + len(condemned - {hidden.name}),
        decided_by_itself=decisions.count(hidden.name),
    )
    for at, each in made:
        began = each["startDate"].timestamp() - story.departure.fault_at
        story.timeline.append(Moment(round(began, 3), "execution", f"{at}: {each['name']} {each['status']}"))
    return story.report(NAME, problems(story.figures))


def problems(figures: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    recovery = figures["recovery_seconds"]
    faults = [
        f"{key}: {figures[key]}, 0 is wanted"
        for key in ("double_decisions", "decided_by_itself", "failed_after_recovery", "failed_requests_elsewhere")
        if figures[key]
    ]
    if recovery is None or recovery > MOST_SECONDS:
        faults.append(f"recovery_seconds: {recovery}, {MOST_SECONDS:g} at most is wanted")
    if figures["decisions"] != 1:
        faults.append(f"decisions: {figures['decisions']}, 1 is wanted")
    return faults if figures["pages"] else [*faults, "nobody was paged"]


SCENARIO = Scenario(NAME, "a Region sees the world and nobody sees it: one decision, by those who stay", run)
