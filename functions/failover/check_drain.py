"""CheckDrain: does the failed cluster still hold requests?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, draining
from standfast.fleet import parse_input
from standfast.steps import DrainStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model, ReplicaAddress


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is drained, and why."""
    step = parse_input(DrainStep, event, "the CheckDrain task")
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    replicas = view.replicas.get(step.failed_cluster_id, ())
    counts = asyncio.run(_in_flight(replicas, config.model))
    in_flight = {address.replica_id: count for address, count in zip(replicas, counts, strict=True)}
    deadline = step.shift.shifted_at + config.failover.drain_seconds
    now = bootstrap.clock().now()
    before = step.drain.silent_since if step.drain else {}
    return {**asdict(draining.judge_drain(in_flight, before, now, deadline)), "at": now}


async def _in_flight(replicas: Sequence[ReplicaAddress], model: Model) -> list[int | None]:
    prober = bootstrap.prober(model)
    return await asyncio.gather(*(prober.in_flight(address.url) for address in replicas))
