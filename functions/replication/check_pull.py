"""CheckPull: how far a Region is, and whether it has ended, well or not."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.fleet import parse_input
from standfast.replication_steps import PulledStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Region's status and when to look again. That a pull failed is an answer, no error."""
    step = parse_input(PulledStep, event, "the CheckPull task")
    plan, now = step.plan, bootstrap.clock().now()
    pull = bootstrap.pulls().look(step.pull.execution_arn)
    if not pull.is_running:
        return replicating.ended(step, pull, now).model_dump(mode="json")
    source, target = bootstrap.model_store(plan.source_region), bootstrap.model_store(step.region)
    manifest = replicating.read_manifest(source, plan.model, plan.version, plan.source_region)
    present = target.list_folder(manifest.prefix)
    return replicating.under_way(step, manifest, present, now).model_dump(mode="json")
