"""A round of canaries for an assessment: every replica once, and who is doubtful once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from standfast import answering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.checks import Answer
    from standfast.engine import EngineDescription
    from standfast.fleet import FleetConfig, ReplicaAddress
    from standfast.golden import Golden
    from standfast.health import EndpointProbe
    from standfast.model_versions import Expected, ModelVersion
    from standfast.ports import Clock, Prober

AT_ONCE = 150
"""Replicas asked at once: five connections each, and a function may have 1,024 files open."""
AGAIN_SECONDS = 12.0
"""When the first round took longer, there is no time for another: what was found stands."""


async def ask(
    clusters: Mapping[str, Sequence[ReplicaAddress]],
    config: FleetConfig,
    served: Mapping[str, Expected],
    golden: Mapping[ModelVersion, Golden | None],
    prober: Prober,
    clock: Clock,
) -> tuple[dict[str, list[Answer]], dict[str, EngineDescription]]:
    """Cluster id -> the answers of its replicas, and replica id -> what its engine says of itself.

    Each is asked for what it should serve, `served` by replica id. Who is doubtful is asked again at once, if there is
    time.
    """
    canary = answering.assessment_canary(config.model.canary, config.objectives)
    wanted = {name: None if each.changing else golden[each.version] for name, each in served.items()}
    nonces = {name: each.nonce if each else None for name, each in wanted.items()}
    at_once, turn = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def its_turn() -> None:
        # One a pass of the loop: begun all together they would wait for this processor, and look late.
        async with turn:
            await asyncio.sleep(0)

    async def asked(address: ReplicaAddress) -> tuple[EndpointProbe, EngineDescription]:
        async with at_once:
            await its_turn()
            return await asyncio.gather(
                prober.ask(
                    address.url,
                    served[address.replica_id].model.name,
                    canary,
                    logprobs=True,
                    nonce=nonces[address.replica_id],
                ),
                prober.describe(address.url),
            )

    async def asked_again(address: ReplicaAddress) -> EndpointProbe:
        async with at_once:
            await its_turn()
            name, nonce = served[address.replica_id].model.name, nonces[address.replica_id]
            return await prober.ask(address.url, name, canary, progress=True, logprobs=True, nonce=nonce)

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
        return answering.answer(name, *first[name], served[name].model, wanted[name], again.get(name))

    answers = {name: [answer(each.replica_id) for each in replicas] for name, replicas in clusters.items()}
    return answers, {name: described for name, (_, described) in first.items()}
