"""ConcludeRehearsal: remove the scratch scope, publish what was measured, and tell; page when it did not succeed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import backup_announcements, bootstrap, bootstrap_backup, telling
from standfast.fleet import parse_input
from standfast.restore_steps import RehearsalStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it succeeded. May be repeated."""
    step = parse_input(RehearsalStep, event, "the ConcludeRehearsal task")
    region, now, log = bootstrap.settings().region, bootstrap.clock().now(), bootstrap_backup.restore_log()
    removed = sum(1 for _ in log.scratch().discard_all())
    figures = {"RestoreRehearsed": 0.0}
    if step.error is None and step.scratch is not None and step.proof is not None:
        log.note_backup(replace(log.last_backup(), rehearsed_at=now))
        figures = {
            "RestoreRehearsed": 1.0,
            "RehearsedRecoverySeconds": step.proof.recovery_seconds,
            "RehearsedDataLossSeconds": step.scratch.data_loss_window_seconds,
            "DaysSinceRehearsal": 0.0,
        }
    bootstrap.metrics().put(figures, now)
    announcement = backup_announcements.rehearsed(region, step, now)
    telling.send(announcement, region, bootstrap.messenger())
    return {
        "succeeded": bool(figures["RestoreRehearsed"]),
        "recovery_seconds": step.proof.recovery_seconds if step.proof else None,
        "data_loss_window_seconds": step.scratch.data_loss_window_seconds if step.scratch else None,
        "removed": removed,
        "text": announcement.text,
    }
