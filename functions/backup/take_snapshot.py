"""TakeSnapshot: write what a restore would put back, parts first, the manifest last."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup
from standfast.backup_taking import Taker
from standfast.fleet import parse_input
from standfast.restore_steps import BackupInput
from standfast.steps import Caught  # noqa: TC001 - pydantic reads it at run time


class TakeStep(BackupInput):
    """The execution's input with what Checkpoint said. `error`: it could not say."""

    in_flight: dict[str, Any] | None = None
    error: Caught | None = None


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the id of the snapshot. A repeated call writes another: one without a manifest counts for nothing.

    Raises BackupRefusedError where what is in the tables cannot be understood: no such snapshot would be restored.
    """
    asked = parse_input(TakeStep, event, "the execution's input")
    region = bootstrap.settings().region
    table = bootstrap.cluster_table()

    made = Taker(
        bootstrap_backup.snapshots(),
        bootstrap_backup.state_tables(),
        bootstrap.config_bucket(),
        bootstrap.model_store(region),
        bootstrap.load_balancer(),
        table.view,
        asked.in_flight,
        bootstrap.clock(),
    ).take()
    return {
        "snapshot_id": made.snapshot_id,
        "reason": asked.reason,
        "began_at": made.began_at,
        "ended_at": made.ended_at,
        "bytes": sum(part.size for part in made.parts),
    }
