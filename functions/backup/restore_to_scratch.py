"""RestoreToScratch: the newest good backup, with the journal up to now, into a scope that nobody serves from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from standfast import bootstrap, bootstrap_backup, bootstrap_journals, restore_planning, restoring
from standfast.fleet import parse_input
from standfast.restore_steps import RefusedBackup, RehearsalInput, RehearsalPlan, RestoreInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was restored. May be repeated: the scratch scope is emptied first.

    Raises BackupRefusedError where no backup is good.
    """
    parse_input(RehearsalInput, event, "the execution's input")
    now, region = bootstrap.clock().now(), bootstrap.settings().region
    tables, scratch = bootstrap_backup.state_tables(), bootstrap_backup.restore_log().scratch()
    newest = RestoreInput(
        by="restore-rehearsal", reason="the rehearsal", moment=datetime.fromtimestamp(now, UTC), accept_gaps=True
    )
    source = restore_planning.find(newest, bootstrap_backup.snapshots(), bootstrap_journals.state_journal(), now)
    items = tables.decisive(source.items)
    restoring.wanted(region, source.came_from, tables.understood(items))
    for _ in scratch.discard_all():
        continue
    scratch.fill(items)
    plan = RehearsalPlan(
        snapshot_id=source.opened.manifest.snapshot_id,
        refused=[RefusedBackup.of(each) for each in source.found.refused],
        items=len(items),
        sha256=restore_planning.digest_of(items),
        began_at=now,
        data_loss_window_seconds=max(0.0, round(now - source.last_change_at, 3)),
    )
    return plan.model_dump(mode="json")
