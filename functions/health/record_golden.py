"""Record golden answers: what a verified cluster's model says first. Invoked by a person, after each new model version.

Nothing is written unless the replicas agree, with each other and with themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import answering, bootstrap, golden
from standfast.errors import NoGoldenAnswerError
from standfast.fleet import parse_input
from standfast.golden_store import GoldenAnswers
from standfast.model_versions import expected_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model, ReplicaAddress
    from standfast.health import EndpointProbe


class RecordInput(BaseModel):
    """The cluster to ask, and why it is believed to be well."""

    model_config = ConfigDict(extra="forbid")

    cluster_id: str
    reason: str = Field(min_length=1, max_length=500)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer for which model and version how many were recorded, and the answers, as `standfast.json` takes them.

    Raises NoGoldenAnswerError with who differs.
    """
    asked = parse_input(RecordInput, event, "the input")
    table = bootstrap.cluster_table()
    view = table.view()
    view.applied.config.region(bootstrap.settings().region).cluster(asked.cluster_id)
    model = expected_in(view, asked.cluster_id).model
    answers = asyncio.run(_ask(view.replicas.get(asked.cluster_id, ()), model))
    agreed = golden.agreed(answers, model.canary.prompt, model.canary.logprob_tolerance)
    now = bootstrap.clock().now()
    table.write_golden(GoldenAnswers(model.name, model.version, agreed, asked.cluster_id, asked.reason, now))
    sure = sum(each.is_sure for each in agreed)
    answered = [asdict(each) for each in agreed]
    return {"model": model.name, "version": model.version, "recorded": len(agreed), "sure": sure, "golden": answered}


async def _ask(replicas: Sequence[ReplicaAddress], model: Model) -> dict[str, dict[str, list[EndpointProbe]]]:
    prober = bootstrap.prober(model)

    async def of(address: ReplicaAddress) -> dict[str, list[EndpointProbe]]:
        if other := answering.other_model(await prober.describe(address.url), model):
            raise NoGoldenAnswerError(f"{address.replica_id} has loaded {other}, not what is live there")
        return {
            nonce: [
                await prober.ask(address.url, model.name, model.canary, nonce=nonce) for _ in range(golden.ASKED_EACH)
            ]
            for nonce in golden.NONCES
        }

    found = await asyncio.gather(*(of(address) for address in replicas))
    return {address.replica_id: answers for address, answers in zip(replicas, found, strict=True)}
