"""PlanReplication: to which Regions, how much is missing there, what it costs and how long it takes."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.fleet import parse_input
from standfast.replication_steps import ReplicateInput, TaskInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Raises InvalidInputError when the model is not registered where it is copied from."""
    task = parse_input(TaskInput, event, "the task")
    asked = parse_input(ReplicateInput, task.input, "the execution's input")
    home, now = bootstrap.settings().region, bootstrap.clock().now()
    source = asked.source_region or home
    manifest = replicating.read_manifest(bootstrap.model_store(source), asked.model, asked.version, source)
    regions = asked.regions or sorted({source, *bootstrap.cluster_table().read_config().config.regions})
    stores = {region: bootstrap.model_store(region) for region in regions}
    plan = replicating.plan_replication(asked, manifest, source, stores, task.execution_name, now)
    return plan.model_dump(mode="json")
