"""ProveClusters: a canary to every replica of every cluster, now. In the VPC."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, failover, node_proof
from standfast.fleet import parse_input
from standfast.restore_steps import FrozenStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model, ReplicaAddress
    from standfast.health import EndpointProbe


def handler(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Answer a failover.Proof for each cluster; none in a Region that only watches."""
    step = parse_input(FrozenStep, event, "the ProveClusters task")
    if not step.serves:
        return []
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    rules, names = config.failover, sorted(config.region(step.region).clusters)
    replicas = [address for name in names for address in view.replicas.get(name, ())]
    canaries = asyncio.run(_ask(replicas, config.model))
    now = bootstrap.clock().now()
    proofs = []
    for name in names:
        own = [canary for address, canary in zip(replicas, canaries, strict=True) if address.cluster_id == name]
        nodes = (
            node_proof.node_limitation(view.nodes.get(name), rules.node_report_seconds, now)
            if rules.require_node_report
            else None
        )
        proofs.append(asdict(failover.proof(name, own, view.assessments.get(name), nodes=nodes)))
    return proofs


async def _ask(replicas: Sequence[ReplicaAddress], model: Model) -> list[EndpointProbe]:
    prober = bootstrap.prober(model)
    return await asyncio.gather(*(prober.ask(address.url, model.name, model.canary) for address in replicas))
