"""CollectNodeReports: read what the nodes answered so far, and judge each of them."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.assessing import CollectStep, NodeEvidence
from standfast.fleet import parse_input
from standfast.node_health import node_health

DEADLINE_SECONDS = 20.0
"""A node that is well answers within seconds; the rest of the assessment waits no longer for one that is not."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a finding for every node, and whether more answers are worth waiting for."""
    step = parse_input(CollectStep, event, "the CollectNodeReports task")
    collected = bootstrap.node_reports().collect(step.commands.commands)
    view = bootstrap.cluster_table().view()
    clusters = view.applied.config.region(step.scope_id).clusters
    nodes = {
        cluster_id: node_health(
            cluster_id,
            collected.nodes.get(cluster_id, {}),
            {address.replica_id.rpartition(":")[0] for address in view.replicas.get(cluster_id, ())},
            clusters[cluster_id].gpus_per_node,
            step.commands.asked_at,
        )
        for cluster_id in step.cluster_ids
    }
    late = bootstrap.clock().now() >= step.commands.asked_at + DEADLINE_SECONDS
    return NodeEvidence(done=collected.done or late, nodes=nodes).model_dump(mode="json")
