"""HoldBlue: blue stands as the way back for as long as FleetConfig says; is green still well?"""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.deployment_keeping import ours
from standfast.deployment_steps import HoldAnswer, HoldStep
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.planned_move import is_dead

LOOK_SECONDS = 60
"""Between two looks: a green that dies is left by a failover, at once, and an execution has room for so many states."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether the hold is over. Raises FencedError, and NotServingError when green is dead."""
    step = parse_input(HoldStep, event, "the HoldBlue task")
    view, now = bootstrap.cluster_table().view(), bootstrap.clock().now()
    ours(view.scope, step)
    found = view.assessments.get(step.green)
    if found is not None and is_dead(found, view.applied.config.detection.fresh_seconds, now):
        raise NotServingError(f"{step.green} died while {step.cluster_id} was held: {found.reason}")
    since = step.hold.held_since if step.hold else now
    left = since + max(step.hold_seconds, step.drain_seconds if step.has_traffic else 0) - now
    reason = (
        f"{step.cluster_id} is held for {left:.0f} s more" if left > 0 else f"{step.cluster_id} is not needed any more"
    )
    wait = max(1, min(LOOK_SECONDS, round(left)))
    return HoldAnswer(over=left <= 0, reason=reason, held_since=since, wait_seconds=wait).model_dump(mode="json")
