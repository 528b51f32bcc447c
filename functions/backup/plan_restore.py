"""PlanRestore: find the newest good backup, put the journal upon it, and say what a restore would change."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, bootstrap_journals, restore_planning
from standfast.fleet import parse_input
from standfast.restore_steps import PlanRestoreInput, RestoreInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan, a diff in words. Changes no state: what is to be put back is kept in the bucket.

    Raises BackupRefusedError with what is wrong with each backup that was looked at, InvalidInputError.
    """
    given = parse_input(PlanRestoreInput, event, "the PlanRestore task")
    asked = parse_input(RestoreInput, given.input, "the execution's input")
    now, tables = bootstrap.clock().now(), bootstrap_backup.state_tables()
    source = restore_planning.find(asked, bootstrap_backup.snapshots(), bootstrap_journals.state_journal(), now)
    plan = restore_planning.plan(given, asked, source, tables, bootstrap_backup.backups(), now)
    return plan.model_dump(mode="json")
