"""RestoreModels: how far each model is in this Region, as the backup has it and as its objects are now."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_making, restore_planning
from standfast.fleet import parse_input
from standfast.restore_steps import ModelsStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was written. May be repeated. Raises FencedError when the lease is somebody else's."""
    step = parse_input(ModelsStep, event, "the RestoreModels task")
    kept = restore_planning.kept(step, bootstrap_backup.backups(), bootstrap_backup.state_tables())
    restore_making.check_held(step, bootstrap.cluster_table())
    written = restore_making.restore_models(
        kept.goal, step.artefacts.damages, bootstrap.model_table(), bootstrap.clock().now()
    )
    return {"written": written}
