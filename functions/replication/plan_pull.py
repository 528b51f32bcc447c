"""PlanPull: what of a model is missing or wrong in this Region, and whether S3's own replication rule brings it."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, pulling, s3_watching
from standfast.fleet import parse_input
from standfast.replicating import read_manifest
from standfast.replication_steps import PullInput, TaskInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Where the source's rule brings the model here, what is due is left to it for now."""
    task = parse_input(TaskInput, event, "the task")
    asked = parse_input(PullInput, task.input, "the execution's input")
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    source, store = bootstrap.model_store(asked.source_region), bootstrap.model_store(region)
    manifest = read_manifest(source, asked.model, asked.version, asked.source_region)
    by_rule = source.replicates_to(bootstrap.settings().model_bucket(region), manifest.prefix)
    plan = pulling.plan(asked, manifest, region, store, task.execution_name, now, left_to_s3=by_rule)
    pulling.note_plan(plan, manifest, bootstrap.model_table(), now)
    return (s3_watching.begin(plan, now) if by_rule else plan).model_dump(mode="json")
