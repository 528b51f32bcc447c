"""StopRollout: somebody else has the lease, or the brake was pulled. Nothing more is changed; the lease is let go."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from standfast import bootstrap, bootstrap_telling, rollout_announcements
from standfast.announcements import cause_in_words
from standfast.errors import FencedError
from standfast.fleet import parse_input
from standfast.rollout_steps import BrokenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated."""
    step = parse_input(BrokenStep, event, "the StopRollout task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    stands = table.read(step.scope_id)
    with suppress(FencedError):
        table.release(step.scope_id, token=step.token, attempts=stands.attempts, not_before=stands.not_before)
    announcement = rollout_announcements.stopped(step, cause_in_words(step.error))
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.cluster_id,
        now=now,
    )
    return {"told": told, "text": announcement.text}
