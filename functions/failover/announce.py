"""Announce: tell a person what failed, what was done and what is left to do; or what would have been done."""

from __future__ import annotations

from typing import Any

from standfast import announcements, bootstrap, evidence, incident_keeping, telling
from standfast.fleet import parse_input
from standfast.steps import DrainStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told, and whether it was new."""
    step = parse_input(DrainStep, event, "the Announce task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    seen = evidence.gather(step.scope_id, table, bootstrap.region_table(), now)
    announcement = announcements.completed(step, seen) if step.may_change else announcements.held_back(step, seen)
    told = telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.failed_cluster_id,
        incidents=table,
        messenger=bootstrap.messenger(),
        switches=bootstrap.region_table(),
        now=now,
    )
    if step.mode != "preflight":
        change = incident_keeping.moved(step, now) if step.may_change else incident_keeping.held_back(step, now)
        incident_keeping.amend(bootstrap.incident_log(), step, change)
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}
