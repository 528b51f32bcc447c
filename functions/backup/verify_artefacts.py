"""VerifyArtefacts: every model that is to be whole is held, object by object, against its manifest in this Region."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_planning
from standfast.fleet import parse_input
from standfast.restore_steps import ArtefactAnswer, RestorePlan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what other models lack. Raises ModelDamagedError where the configuration's own is not whole."""
    step = parse_input(RestorePlan, event, "the VerifyArtefacts task")
    kept = restore_planning.kept(step, bootstrap_backup.backups(), bootstrap_backup.state_tables())
    damages = restore_planning.verify_artefacts(kept, bootstrap.model_store(step.region), mends=True)
    return ArtefactAnswer(damages=damages).model_dump()
