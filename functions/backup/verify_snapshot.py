"""VerifySnapshot: read the snapshot back, byte by byte, and only then point at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, bootstrap_backup, restoring
from standfast.fleet import parse_input

DAY_SECONDS = 86_400


class Snapshot(BaseModel):
    """What TakeSnapshot left, as far as it is used."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    snapshot_id: str
    began_at: float
    bytes: int


class VerifyStep(BaseModel):
    """What VerifySnapshot reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    snapshot: Snapshot


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was verified. May be repeated. Raises BackupRefusedError when it is not as it was meant."""
    step = parse_input(VerifyStep, event, "the VerifySnapshot task").snapshot
    now, log, tables = bootstrap.clock().now(), bootstrap_backup.restore_log(), bootstrap_backup.state_tables()
    backups = bootstrap_backup.snapshots()
    opened = backups.open(step.snapshot_id, now)
    restoring.wanted(backups.region, f"backup {step.snapshot_id}", tables.understood(opened.cut.items))
    last = log.last_backup()
    first_at = last.first_at or now
    log.note_backup(replace(last, snapshot_id=step.snapshot_id, ended_at=opened.manifest.ended_at, first_at=first_at))
    figures = {
        "BackupVerified": 1.0,
        "BackupBytes": float(step.bytes),
        "BackupSeconds": now - step.began_at,
        "DaysSinceRehearsal": (now - max(first_at, last.rehearsed_at)) / DAY_SECONDS,
    }
    bootstrap.metrics().put(figures, now)
    found = {
        "snapshot_id": step.snapshot_id,
        "manifest_sha256": opened.sha256,
        "ended_at": opened.manifest.ended_at,
        "items": len(opened.contents["state"]["items"]),
    }
    bootstrap.messenger().event("BackupCompleted", {"scope_id": backups.region, **found})
    return {**found, "verified_at": now}
