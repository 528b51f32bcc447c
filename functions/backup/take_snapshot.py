"""TakeSnapshot: write what a restore would put back, parts first, the manifest last."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap, bootstrap_backup, bootstrap_journals, in_flight
from standfast.backup_taking import Taker
from standfast.fleet import parse_input


class BackupInput(BaseModel):
    """Why a backup is taken. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="the schedule", min_length=1, max_length=500)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the id of the snapshot. A repeated call writes another: one without a manifest counts for nothing.

    Raises BackupRefusedError where what is in the tables cannot be understood: no such snapshot would be restored.
    """
    asked = parse_input(BackupInput, event["input"], "the execution's input")
    region = bootstrap.settings().region
    table = bootstrap.cluster_table()

    def requests(now: float) -> dict[str, Any]:
        return asyncio.run(in_flight.look(bootstrap_journals.requests(), region, now)).document(now)

    made = Taker(
        bootstrap_backup.snapshots(),
        bootstrap_backup.state_tables(),
        bootstrap.config_bucket(),
        bootstrap.model_store(region),
        bootstrap.load_balancer(),
        table.view,
        requests,
        bootstrap.clock(),
    ).take()
    return {
        "snapshot_id": made.snapshot_id,
        "reason": asked.reason,
        "began_at": made.began_at,
        "ended_at": made.ended_at,
        "bytes": sum(part.size for part in made.parts),
    }
