"""ProbeEndpoints: a canary to every replica of the clusters that are assessed, and what its engine says of itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import answering, bootstrap, capacity
from standfast.assessing import AssessmentPlan, EndpointEvidence
from standfast.checks import Answer
from standfast.engine import EngineMetrics
from standfast.fleet import parse_input
from standfast.golden import question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import FleetConfig, ReplicaAddress
    from standfast.golden import Golden

AT_ONCE = 150
"""Replicas asked at once: five connections each, and a function may have 1,024 files open."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what each replica answered, by cluster."""
    plan = parse_input(AssessmentPlan, event, "the ProbeEndpoints task")
    table = bootstrap.cluster_table()
    view = table.view()
    config = view.applied.config
    recorded = table.read_golden(config.model.name, config.model.version)
    golden = question(recorded, config.model.canary.prompt, bootstrap.clock().now())
    answers = {cluster_id: list[Answer]() for cluster_id in plan.cluster_ids}
    said = {cluster_id: list[EngineMetrics]() for cluster_id in plan.cluster_ids}
    replicas = [address for cluster_id in plan.cluster_ids for address in view.replicas.get(cluster_id, ())]
    for address, (answer, metrics) in zip(replicas, asyncio.run(_ask(replicas, config, golden)), strict=True):
        answers[address.cluster_id].append(answer)
        said[address.cluster_id].append(metrics)
    loads = {cluster_id: capacity.reading_of(metrics) for cluster_id, metrics in said.items()}
    # Without what is at its default: a state machine carries 256 KB, and there may be a thousand replicas.
    return EndpointEvidence(answers=answers, loads=loads).model_dump(mode="json", exclude_defaults=True)


async def _ask(
    replicas: Sequence[ReplicaAddress], config: FleetConfig, golden: Golden | None
) -> list[tuple[Answer, EngineMetrics]]:
    model = config.model
    prober = bootstrap.prober(model)
    canary = answering.assessment_canary(model.canary, config.objectives)
    nonce = golden.nonce if golden else None
    at_once = asyncio.Semaphore(AT_ONCE)

    async def asked(address: ReplicaAddress) -> tuple[Answer, EngineMetrics]:
        async with at_once:
            probe, said = await asyncio.gather(
                prober.ask(address.url, model.name, canary, logprobs=True, nonce=nonce), prober.describe(address.url)
            )
        return answering.answer(address.replica_id, probe, said, model, golden), said.metrics

    return await asyncio.gather(*(asked(address) for address in replicas))
