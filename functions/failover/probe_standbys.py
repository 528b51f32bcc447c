"""ProbeStandbys: a canary to every replica of every other cluster, now."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, failover, node_proof
from standfast.fleet import parse_input
from standfast.model_versions import expected_in
from standfast.steps import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import ReplicaAddress
    from standfast.health import EndpointProbe
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Answer a Proof for each cluster but the failed one.

    A replica that an update has touched proves nothing: a failover promotes no version that is still baking.
    """
    plan = parse_input(Plan, event, "the ProbeStandbys task")
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    candidates = sorted(set(config.region(plan.scope_id).clusters) - {plan.failed_cluster_id})
    touched = {
        replica for each in view.scope.desired.models.values() if each.update for replica in each.update.replicas
    }
    replicas = [
        address for name in candidates for address in view.replicas.get(name, ()) if address.replica_id not in touched
    ]
    canaries = asyncio.run(_ask(replicas, view))
    now = bootstrap.clock().now()
    return [
        asdict(
            failover.proof(
                name,
                [canary for address, canary in zip(replicas, canaries, strict=True) if address.cluster_id == name],
                view.assessments.get(name),
                nodes=_node_limitation(view, name, now),
            )
        )
        for name in candidates
    ]


def _node_limitation(view: View, cluster_id: str, now: float) -> str | None:
    rules = view.applied.config.failover
    if not rules.require_node_report:
        return None
    return node_proof.node_limitation(view.nodes.get(cluster_id), rules.node_report_seconds, now)


async def _ask(replicas: Sequence[ReplicaAddress], view: View) -> list[EndpointProbe]:
    model = view.applied.config.model
    prober = bootstrap.prober(model)
    names = [expected_in(view, each.cluster_id, each.replica_id).model.name for each in replicas]
    asked = (prober.ask(each.url, name, model.canary) for each, name in zip(replicas, names, strict=True))
    return await asyncio.gather(*asked)
