"""RemoveNode: the update is over, or was given up; the cluster's group has its size again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap
from standfast.bootstrap_rollouts import group_sizes
from standfast.fleet import parse_input
from standfast.rollout_keeping import note, ours, update_of
from standfast.rollout_steps import RemoveStep
from standfast.rollout_surge import instance_of


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how many nodes are wanted. Raises FencedError. May be repeated: it is removed once."""
    step = parse_input(RemoveStep, event, "the RemoveNode task")
    table, now, replica = bootstrap.cluster_table(), bootstrap.clock().now(), step.next.replica_id
    nodes = update_of(ours(table.read(step.scope_id), step)).surge
    if nodes is not None:
        group_sizes().shrink(step.cluster_id, nodes, instance_of(replica))
        said = f"{step.cluster_id} has {nodes} nodes again"
        note(step, lambda known: replace(known.without_replica(replica), surge=None), said, table, now)
    return {"nodes": nodes}
