"""`region-gray`: a Region answers its health check and fails its users. It gives itself up, to a peer with room.

Every engine of both of its clusters answers each completion with an error and `/health` with 200. Its own failover has
nothing to go to, Route 53's front-door check sees nothing: two voices must move its users, its own and another.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Report, Stage

NAME: Final = "region-gray"
LIMIT_SECONDS: Final = 200.0
MOST_SECONDS: Final = 120.0


def run(stage: Stage) -> Report:
    """Once; the engines are mended at the end."""
    from sandbox.departures import Fault, tell

    gray = stage.region
    with ExitStack() as broken:
        words = f"every engine in {gray.name} fails its completions, and says that it is well"
        fault = Fault(words, lambda: _break(stage, broken), is_silent=False)
        story = tell(stage, fault, LIMIT_SECONDS)
        shut = story.name.front_door_failures(gray.name, story.departure.fault_at)
    story.figures["front_door_failures"] = shut
    return story.report(NAME, problems(story.figures))


def _break(stage: Stage, broken: ExitStack) -> float:
    """First the cluster that serves nobody, so that the fault is quick: when the other one's began."""
    from sandbox.fleet.broken_engine import BrokenEngine, Fault

    gray, began = stage.region, 0.0
    for cluster_id in (gray.standby, gray.primary):
        began = time.time()
        for number, node in enumerate(gray.nodes.nodes(cluster_id)):
            broken.enter_context(BrokenEngine(node.replica, Fault.OUT, seed=stage.seed + number))
    return began


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
    return faults if figures["pages"] else [*faults, "nobody was paged"]


SCENARIO = Scenario(NAME, "a Region answers its health check and fails its users: it gives itself up", run)
