"""RestoreConfig: put the configuration in force, read it back, and write down which replicas are registered."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_making, restore_planning
from standfast.fleet import parse_input
from standfast.restore_steps import FrozenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the table's revision. May be repeated. Raises ConflictError, FencedError."""
    step = parse_input(FrozenStep, event, "the RestoreConfig task")
    scopes = bootstrap.cluster_table()
    kept = restore_planning.kept(step, bootstrap_backup.backups(), bootstrap_backup.state_tables())
    restore_making.check_held(step, scopes)
    revision = restore_making.restore_config(
        kept, bootstrap.config_table(), bootstrap.config_bucket(), bootstrap.config_pointer()
    )
    if step.serves:
        entry = scopes.read_config().config.region(step.region).bound_entry()
        scopes.write_replicas(bootstrap.inventory().replicas(entry), now=bootstrap.clock().now())
    return {"revision": revision}
