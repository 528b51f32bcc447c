"""ConcludeRelease: every cluster serves the version. The next release may begin, and people are told."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.release_ending import end
from standfast.release_steps import ReleasePlan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how it ended, and what was told. May be repeated: only the first time is anybody told."""
    plan = parse_input(ReleasePlan, event, "the ConcludeRelease task")
    return end(plan, "finished", plan.course.reason, bootstrap.region_table(), bootstrap.messenger())
