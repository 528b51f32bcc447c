"""ProveScratch: what lies in the scratch scope is the backup, is understood, and its models are whole here."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_planning, restoring
from standfast.errors import BackupRefusedError
from standfast.fleet import parse_input
from standfast.restore_planning import Kept
from standfast.restore_steps import RehearsingStep, ScratchProof


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the proof. Raises BackupRefusedError, ModelDamagedError."""
    step = parse_input(RehearsingStep, event, "the ProveScratch task").scratch
    region, tables = bootstrap.settings().region, bootstrap_backup.state_tables()
    items = bootstrap_backup.restore_log().scratch().contents()
    if restore_planning.digest_of(items) != step.sha256:
        raise BackupRefusedError(f"what lies in the scratch scope is not what {step.snapshot_id} holds")
    name = f"backup {step.snapshot_id} in the scratch scope"
    goal = restoring.wanted(region, name, tables.understood(items))
    opened = bootstrap_backup.snapshots().open(step.snapshot_id, bootstrap.clock().now())
    kept = Kept(goal, opened.contents["configuration"]["texts"], opened.contents["models"]["manifests"])
    restore_planning.verify_artefacts(kept, bootstrap.model_store(region), mends=False)
    took = bootstrap.clock().now() - step.began_at
    return ScratchProof(items=len(items), models=len(goal.models), recovery_seconds=round(took, 3)).model_dump()
