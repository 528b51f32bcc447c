"""PlanPull: what of a model is missing or wrong in this Region. What is there and right is not copied again."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, pulling
from standfast.fleet import parse_input
from standfast.replicating import read_manifest
from standfast.replication_steps import PullInput, TaskInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Uploads that were cut off and that nobody goes on with are given up."""
    task = parse_input(TaskInput, event, "the task")
    asked = parse_input(PullInput, task.input, "the execution's input")
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    source, store = bootstrap.model_store(asked.source_region), bootstrap.model_store(region)
    manifest = read_manifest(source, asked.model, asked.version, asked.source_region)
    plan = pulling.plan(asked, manifest, region, store, task.execution_name, now)
    pulling.note_plan(plan, manifest, bootstrap.model_table(), now)
    return plan.model_dump(mode="json")
