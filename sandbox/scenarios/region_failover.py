"""`region-failover`: everything in a Region goes at once, its control plane too. Its users are led to the other one.

Nobody writes a record: who is left condemns the Region in its own state, the health checkers ask, and each client goes
on to the dead Region until the answer that it believes is too old. Where the seconds go is told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Report, Stage

NAME: Final = "region-failover"
LIMIT_SECONDS: Final = 150.0
MOST_SECONDS: Final = 90.0
"""With a CNAME's TTL of 20 s."""
MOST_OWN_SECONDS: Final = 20.0


def run(stage: Stage) -> Report:
    """Once: a Region that was lost is not what it was before."""
    from sandbox.departures import Fault, tell

    lost = stage.region_name
    fault = Fault(f"everything in {lost} is gone, its control plane too", lambda: stage.sandbox.lose(lost))
    story = tell(stage, fault, LIMIT_SECONDS)
    return story.report(NAME, problems(story.figures))


def problems(figures: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    faults = [
        f"{key}: {figures[key]}, {most:g} at most is wanted"
        for key, most in (("recovery_seconds", MOST_SECONDS), ("own_seconds", MOST_OWN_SECONDS))
        if figures[key] is None or figures[key] > most
    ]
    faults += [
        f"{key}: {figures[key]}, 0 is wanted"
        for key in ("failed_after_recovery", "failed_requests_elsewhere")
        if figures[key]
    ]
    return faults if figures["pages"] else [*faults, "nobody was paged"]


SCENARIO = Scenario(NAME, "everything in a Region goes at once: users are led to the other one", run)
