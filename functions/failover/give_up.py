"""GiveUp: the failover did not succeed. Give the lease back with a hold-down, and tell a person."""

from __future__ import annotations

from typing import Any

from standfast import (
    announcements,
    bootstrap,
    bootstrap_telling,
    evidence,
    giving_up,
    incident_keeping,
    move_announcements,
)
from standfast.fleet import parse_input
from standfast.steps import GiveUpStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated: a lease that was given back is left alone."""
    step = parse_input(GiveUpStep, event, "the GiveUp task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    retry_at = None
    if step.may_change:
        giving_up.record_roles(step, table, now)
        retry_at = giving_up.give_back(step, table, table, now)
    if step.planned:
        announcement = move_announcements.gave_up(step, ours=retry_at is not None or not step.may_change)
    else:
        seen = evidence.gather(step.scope_id, table, bootstrap.region_table(), now)
        announcement = announcements.gave_up(step, retry_at, seen)
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.failed_cluster_id,
        now=now,
    )
    if step.mode == "failover":
        why = announcements.cause_in_words(step.error)
        incident_keeping.amend(bootstrap.incident_log(), step, incident_keeping.gave_up(step, why, now))
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}
