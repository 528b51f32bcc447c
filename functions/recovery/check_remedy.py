"""CheckRemedy: have the remedies ended? Whether they helped, the nodes say when they are looked at again."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.recovery_steps import AppliedStep

LONGEST_SECONDS = 960.0
"""More than the longest document may take: who has not answered by then is looked at as it is."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether all have ended, and what came of each."""
    step = parse_input(AppliedStep, event, "the CheckRemedy task")
    late = bootstrap.clock().now() - step.applied.applied_at > LONGEST_SECONDS
    found = {each.remedy.instance_id: bootstrap.remedies().progress(each) for each in step.applied.remedies}
    return {
        "ended": late or all(progress.ended for progress in found.values()),
        "said": {name: progress.said for name, progress in found.items()},
    }
