"""ReadTraffic: what the load balancer counted for the clusters that are assessed."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.assessing import AssessmentPlan, TrafficEvidence
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer requests and failures by cluster."""
    plan = parse_input(AssessmentPlan, event, "the ReadTraffic task")
    config = bootstrap.cluster_table().read_config().config
    entry = config.region(plan.scope_id).bound_entry()
    counted = bootstrap.traffic_metrics().counted(entry, bootstrap.clock().now(), config.objectives.window_seconds)
    return TrafficEvidence(traffic={name: counted[name] for name in plan.cluster_ids}).model_dump(mode="json")
