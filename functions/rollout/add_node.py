"""AddNode: have the cluster's group want one node more, and see whether it serves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap, rollout_surge
from standfast.bootstrap_rollouts import group_sizes, replica_targets
from standfast.brake import check_not_frozen, check_still_runs
from standfast.errors import NoHeadroomError
from standfast.fleet import parse_input
from standfast.rollout_keeping import note, ours, update_of
from standfast.rollout_steps import AddedAnswer, AddStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it has traffic. May be repeated.

    Raises FencedError when somebody else was granted the lease, AutomationOffError when the brake was pulled, and
    NoHeadroomError where none can be had.
    """
    step = parse_input(AddStep, event, "the AddNode task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    nodes = update_of(ours(view.scope, step)).surge
    if not step.break_glass:
        brake = bootstrap.region_table().glance_at_brake()
        check_still_runs(brake, step.scope_id, step.cluster_id)
        check_not_frozen(brake)
    began_at = step.added.began_at if step.added else now
    replicas = [each.replica_id for each in view.replicas.get(step.cluster_id, ())]
    size = group_sizes().size(step.cluster_id, began_at)
    if nodes is None or size is None:
        if size is None or (why_not := rollout_surge.why_not(step.cluster_id, size, replicas)):
            raise NoHeadroomError(f"surge: {why_not}")
        nodes = before = size.nodes
        note(step, lambda known: replace(known, surge=before), "a node more is wanted", table, now)
    group_sizes().grow(step.cluster_id, nodes + 1)
    known = step.added.known if step.added else sorted({rollout_surge.instance_of(each) for each in replicas})
    states = replica_targets().states(
        view.applied.config.region(step.scope_id).cluster(step.cluster_id).target_group_arn
    )
    new = rollout_surge.arrived(states, replicas, known)
    if not new and size.said:
        raise NoHeadroomError(f"surge: no node more can be had: {size.said}")
    if not new and now - began_at > rollout_surge.PATIENCE_SECONDS:
        raise NoHeadroomError(f"surge: no node more serves after {now - began_at:.0f} s")
    said = f"{new} has traffic" if new else f"a node more than {nodes} is awaited"
    return AddedAnswer(ready=bool(new), said=said, known=known, began_at=began_at).model_dump(mode="json")
