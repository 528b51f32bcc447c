"""Every day: is each model still whole here? `replicate_model` looks, and copies what is missing or wrong."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.model_states import ModelState


def handler(_event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer the execution for each model, by name. Of one that was never verified here it is not yet time."""
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    started = {}
    for record in bootstrap.model_table().models():
        if record.state is not ModelState.REGISTERED:
            name, payload = replicating.repair(record, region, now)
            started[name] = bootstrap.pulls().start_replication(region, name, payload)
    return started
