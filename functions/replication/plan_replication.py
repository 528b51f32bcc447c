"""PlanReplication: to which Regions, how much is missing there, what it costs and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, replicating
from standfast.errors import StandfastError, TransientError
from standfast.fleet import parse_input
from standfast.replication_steps import ReplicateInput, TaskInput

if TYPE_CHECKING:
    from standfast.replication_steps import ReplicationPlan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Raises InvalidInputError when the model is not registered where it is copied from.

    Whoever started it by hand sees that; of a schedule's run people are told here.
    """
    task = parse_input(TaskInput, event, "the task")
    asked = parse_input(ReplicateInput, task.input, "the execution's input")
    try:
        return _plan(asked, task.execution_name).model_dump(mode="json")
    except TransientError:
        raise
    except StandfastError as error:
        if asked.trigger == replicating.SCHEDULE:
            subject, text = replicating.not_looked_at(asked, bootstrap.settings().region, str(error))
            bootstrap.messenger().notice(subject, text)
        raise


def _plan(asked: ReplicateInput, execution_name: str) -> ReplicationPlan:
    home, now = bootstrap.settings().region, bootstrap.clock().now()
    source = asked.source_region or home
    manifest = replicating.read_manifest(bootstrap.model_store(source), asked.model, asked.version, source)
    regions = asked.regions or sorted({source, *bootstrap.cluster_table().read_config().config.regions})
    stores = {region: bootstrap.model_store(region) for region in regions}
    return replicating.plan_replication(asked, manifest, source, stores, execution_name, now)
