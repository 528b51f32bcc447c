"""StartPull: have a Region pull the model, by its own functions under its own roles."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.fleet import parse_input
from standfast.replication_steps import RegionStep, Started


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the execution there, and how much lay there before. May be repeated: it is started once."""
    step = parse_input(RegionStep, event, "the StartPull task")
    plan = step.plan
    source, target = bootstrap.model_store(plan.source_region), bootstrap.model_store(step.region)
    manifest = replicating.read_manifest(source, plan.model, plan.version, plan.source_region)
    payload = {
        "model": plan.model,
        "version": plan.version,
        "source_region": plan.source_region,
        "trigger": plan.trigger,
        **({"canary": True} if plan.canary else {}),  # a stack of an earlier release knows no such field
    }
    arn = bootstrap.pulls().start(step.region, plan.execution_name, payload)
    before = replicating.present_bytes(manifest, target.list_folder(manifest.prefix))
    started = Started(execution_arn=arn, started_at=bootstrap.clock().now(), bytes_before=before)
    return started.model_dump(mode="json")
