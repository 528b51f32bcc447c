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
    memory, now = bootstrap.fault_table().read_faults(), bootstrap.clock().now()
    found = [
        node_health(
            cluster_id,
            collected.nodes.get(cluster_id, {}),
            {address.replica_id.rpartition(":")[0] for address in view.replicas.get(cluster_id, ())},
            clusters[cluster_id].gpus_per_node,
            step.commands.asked_at,
            memory,
        )
        for cluster_id in step.cluster_ids
    ]
    done = collected.done or now >= step.commands.asked_at + DEADLINE_SECONDS
    if done:  # once a round: what is asked for again meanwhile is the same report
        gpus = {uuid: known for each in found for uuid, known in each.gpus.items()}
        bootstrap.fault_table().write_faults([node for each in found for node in each.nodes], gpus, now=now)
    evidence = NodeEvidence.of([each.health for each in found], done=done)
    return {**evidence.model_dump(mode="json", exclude_defaults=True), "done": done}
