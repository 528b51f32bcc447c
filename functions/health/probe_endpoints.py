"""ProbeEndpoints: a canary to every replica of the clusters that are assessed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.assessing import AssessmentPlan, EndpointEvidence
from standfast.checks import Answer
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model, ReplicaAddress


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what each replica answered, by cluster."""
    plan = parse_input(AssessmentPlan, event, "the ProbeEndpoints task")
    view = bootstrap.cluster_table().view()
    answers = {cluster_id: list[Answer]() for cluster_id in plan.cluster_ids}
    replicas = [address for cluster_id in plan.cluster_ids for address in view.replicas.get(cluster_id, ())]
    for address, answer in zip(replicas, asyncio.run(_ask(replicas, view.applied.config.model)), strict=True):
        answers[address.cluster_id].append(answer)
    return EndpointEvidence(answers=answers).model_dump(mode="json")


async def _ask(replicas: Sequence[ReplicaAddress], model: Model) -> list[Answer]:
    prober = bootstrap.prober(model.engine)
    probes = await asyncio.gather(*(prober.ask(address.url, model.name, model.canary) for address in replicas))
    return [
        Answer(address.replica_id, probe.outcome, probe.detail, probe.first_token_seconds)
        for address, probe in zip(replicas, probes, strict=True)
    ]
