"""`two-regions-no-witness`: two Regions and nobody else who looks. One goes: a person is paged, and nothing is decided.

Whoever is left cannot tell whether the other one is lost or it is cut off itself. Users are led away by the front-door
check alone, which needs no Standfast.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Report, Stage

NAME: Final = "two-regions-no-witness"
WATCH_SECONDS: Final = 150.0
"""The time-out of a watch: until then the third Region's last run goes on, as no later one takes over."""
LIMIT_SECONDS: Final = 150.0
MOST_SECONDS: Final = 120.0
SUBJECT: Final = "is not evacuated: no third view"


def run(stage: Stage) -> Report:
    """Once: a Region that was lost is not what it was before."""
    from sandbox import edge, region_moves
    from sandbox.departures import Fault, tell

    sandbox, lost = stage.sandbox, stage.region
    fault = Fault(f"everything in {lost.name} is gone, and nobody but one looks", lambda: _lose_without_witness(stage))
    story = tell(stage, fault, LIMIT_SECONDS)
    staying = [stack for stack in sandbox.stacks if stack is not lost]
    made = [(stack.name, each) for stack in staying for each in region_moves.executions(stack)]
    condemned = {region for stack in staying for region in edge.record(stack).condemned}
    story.figures.update(
        evacuations=len(made),
        double_decisions=len(condemned),
        told=sum(moment.event == "page" and SUBJECT in moment.detail for moment in story.timeline),
    )
    return story.report(NAME, problems(story.figures))


def _lose_without_witness(stage: Stage) -> float:
    """The third Region's stack holds the table's third replica, and looks no more once its last run is over."""
    from sandbox.plan import FLEET, WATCHER

    sandbox = stage.sandbox
    sandbox.cloud.ticker.pause(f"{FLEET}-watch-regions", WATCHER)
    config = {**sandbox.fleet_config(), "watchers": []}
    for region in sandbox.regions.values():
        region.invoke("apply-config", {"config": config})
    time.sleep(WATCH_SECONDS)
    lost_at = time.time()
    sandbox.lose(stage.region_name)
    return lost_at


def problems(figures: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    faults = [
        f"{key}: {figures[key]}, 0 is wanted"
        for key in ("evacuations", "double_decisions", "failed_after_recovery", "failed_requests_elsewhere")
        if figures[key]
    ]
    recovery = figures["recovery_seconds"]
    if recovery is None or recovery > MOST_SECONDS:
        faults.append(f"recovery_seconds: {recovery}, {MOST_SECONDS:g} at most is wanted, by the front-door check")
    return faults if figures["told"] else [*faults, "nobody was paged that a third view is missing"]


SCENARIO = Scenario(NAME, "two Regions and nobody else who looks: one goes, a person is paged, nothing is decided", run)
