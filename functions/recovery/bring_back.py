"""BringBack: nodes that are well again get requests, once the load balancer finds them healthy too."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.recovery_steps import DecidedStep


def handler(event: dict[str, Any], _context: object) -> list[str]:
    """Answer who is back. Registered first: a node that is recorded as out is looked after."""
    step = parse_input(DecidedStep, event, "the BringBack task")
    table, back = bootstrap.recovery_table(), step.decision.bring_back
    table.read_recovery(step.cluster_id).check_in_charge(step.execution_arn)
    cluster = bootstrap.cluster_table().read_config().config.region(step.scope_id).cluster(step.cluster_id)
    bootstrap.cluster_nodes().bring_back(cluster.target_group_arn, back)
    record = table.read_recovery(step.cluster_id)
    if record.taken_out & set(back):
        table.write_recovery(record.without_out(back))
    return back
