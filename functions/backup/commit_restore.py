"""CommitRestore: the switch as it was, the lease let go, nothing left to put back; and somebody is told."""

from __future__ import annotations

from typing import Any

from standfast import backup_announcements, bootstrap, bootstrap_backup, restore_making, telling
from standfast.fleet import parse_input
from standfast.restore_steps import CommitStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how long it took, and what was lost. May be repeated. Raises FencedError."""
    step = parse_input(CommitStep, event, "the CommitRestore task")
    now, log = bootstrap.clock().now(), bootstrap_backup.restore_log()
    scopes = bootstrap.cluster_table()
    undo = log.read_undo()
    if undo is not None and undo.execution_arn == step.execution_arn:
        restore_making.check_held(step, scopes)
        restore_making.thaw(step.region, undo, bootstrap.region_table(), "a restore is over", now)
        log.drop_undo(step.execution_arn)
    if step.freeze.token:
        restore_making.release(step.region, step.freeze.token, scopes)
    took = step.smoke.served_at - step.planned_at
    figures = {"RestoreSeconds": took, "RestoreDataLossSeconds": step.data_loss_window_seconds}
    bootstrap.metrics().put(figures, now)
    announcement = backup_announcements.restored(step, now)
    telling.send(announcement, step.region, bootstrap.messenger())
    return {
        "recovery_seconds": round(took, 3),
        "data_loss_window_seconds": step.data_loss_window_seconds,
        "text": announcement.text,
    }
