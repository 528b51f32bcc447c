"""TurnBack: something went wrong, so all that was touched goes back; on the way back, this replica stays out."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, rollout
from standfast.announcements import cause_in_words
from standfast.fleet import parse_input
from standfast.rollout_keeping import note
from standfast.rollout_steps import BrokenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer why. Raises FencedError, and NotConvergedError when nothing came of turning back."""
    step = parse_input(BrokenStep, event, "the TurnBack task")
    table, now, why = bootstrap.cluster_table(), bootstrap.clock().now(), cause_in_words(step.error)
    failed = step.failed_replica(why)
    note(step, lambda update: rollout.turned(update, failed, why), why, table, now)
    return {"reason": why, "at": now}
