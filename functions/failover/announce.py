"""Announce: tell a person what failed, what was done and what is left to do; or what would have been done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import (
    announcements,
    bootstrap,
    bootstrap_telling,
    evidence,
    incident_keeping,
    move_announcements,
    preflight,
)
from standfast.fleet import parse_input
from standfast.steps import DrainStep

if TYPE_CHECKING:
    from standfast.announcements import Announcement


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told, and whether it was new."""
    step = parse_input(DrainStep, event, "the Announce task")
    now = bootstrap.clock().now()
    announcement = _announcement(step, now)
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.failed_cluster_id,
        now=now,
    )
    if step.mode == "failover":
        change = incident_keeping.moved(step, now) if step.may_change else incident_keeping.held_back(step, now)
        incident_keeping.amend(bootstrap.incident_log(), step, change)
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}


def _announcement(step: DrainStep, now: float) -> Announcement:
    table, regions = bootstrap.cluster_table(), bootstrap.region_table()
    if step.mode == "preflight":
        brake, chosen = regions.glance_at_brake(), step.selection.cluster_id
        found = preflight.obstacles(table.view(), brake, step.shift.weights, chosen, now)
        return announcements.preflight_passed(step, [*found, *preflight.of_the_quotas(step)])
    if step.planned:
        return move_announcements.moved(step) if step.may_change else move_announcements.held_back(step)
    seen = evidence.gather(step.scope_id, table, regions, now)
    return announcements.completed(step, seen) if step.may_change else announcements.held_back(step, seen)
