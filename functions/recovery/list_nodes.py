"""ListNodes: the cluster's instances as they are now, those too that are out of the target group or just launched."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.recovery_steps import RecoveryPlan


def handler(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Answer every instance with its replicas' addresses."""
    plan = parse_input(RecoveryPlan, event, "the ListNodes task")
    cluster = bootstrap.cluster_table().read_config().config.region(plan.scope_id).cluster(plan.cluster_id)
    return [asdict(each) for each in bootstrap.cluster_nodes().instances(plan.cluster_id, cluster.target_group_arn)]
