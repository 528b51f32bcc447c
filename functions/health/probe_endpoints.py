"""ProbeEndpoints: a canary to every replica of the clusters that are assessed, and what its engine says of itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import answering, bootstrap, capacity
from standfast.assessing import AssessmentPlan, EndpointEvidence
from standfast.fleet import parse_input
from standfast.golden import question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.checks import Answer
    from standfast.engine import EngineDescription
    from standfast.fleet import FleetConfig, ReplicaAddress
    from standfast.golden import Golden
    from standfast.health import EndpointProbe

AT_ONCE = 150
"""Replicas asked at once: five connections each, and a function may have 1,024 files open."""
AGAIN_SECONDS = 12.0
"""When the first round took longer, there is no time for another: what was found stands."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what each replica answered, by cluster."""
    plan = parse_input(AssessmentPlan, event, "the ProbeEndpoints task")
    table = bootstrap.cluster_table()
    view = table.view()
    config = view.applied.config
    recorded = table.read_golden(config.model.name, config.model.version)
    golden = question(recorded, config.model.canary.prompt, bootstrap.clock().now())
    replicas = {cluster_id: view.replicas.get(cluster_id, ()) for cluster_id in plan.cluster_ids}
    answers, said = asyncio.run(_ask(replicas, config, golden))
    loads = {
        cluster_id: capacity.reading_of([said[address.replica_id].metrics for address in addresses])
        for cluster_id, addresses in replicas.items()
    }
    return EndpointEvidence.of(answers, loads).model_dump(mode="json", exclude_defaults=True)


async def _ask(
    clusters: Mapping[str, Sequence[ReplicaAddress]], config: FleetConfig, golden: Golden | None
) -> tuple[dict[str, list[Answer]], dict[str, EngineDescription]]:
    """Cluster id -> the answers of its replicas, and replica id -> what its engine says of itself.

    Who is doubtful is asked again at once, if there is time.
    """
    model, clock = config.model, bootstrap.clock()
    prober = bootstrap.prober(model)
    canary = answering.assessment_canary(model.canary, config.objectives)
    nonce = golden.nonce if golden else None
    at_once, turn = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def its_turn() -> None:
        # One a pass of the loop: begun all together they would wait for this processor, and look late.
        async with turn:
            await asyncio.sleep(0)

    async def asked(address: ReplicaAddress) -> tuple[EndpointProbe, EngineDescription]:
        async with at_once:
            await its_turn()
            return await asyncio.gather(
                prober.ask(address.url, model.name, canary, logprobs=True, nonce=nonce), prober.describe(address.url)
            )

    async def asked_again(address: ReplicaAddress) -> EndpointProbe:
        async with at_once:
            await its_turn()
            return await prober.ask(address.url, model.name, canary, progress=True, logprobs=True, nonce=nonce)

    addresses = {address.replica_id: address for replicas in clusters.values() for address in replicas}
    again_until = clock.now() + AGAIN_SECONDS
    first = dict(zip(addresses, await asyncio.gather(*map(asked, addresses.values())), strict=True))
    doubtful: list[str] = []
    if clock.now() < again_until:
        for replicas in clusters.values():
            probes = {address.replica_id: first[address.replica_id][0] for address in replicas}
            doubtful += answering.doubtful(probes, canary, config.objectives)
    again = dict(zip(doubtful, await asyncio.gather(*(asked_again(addresses[each]) for each in doubtful)), strict=True))

    def answer(name: str) -> Answer:
        return answering.answer(name, *first[name], model, golden, again.get(name))

    answers = {name: [answer(each.replica_id) for each in replicas] for name, replicas in clusters.items()}
    return answers, {name: described for name, (_, described) in first.items()}
