"""VerifyReplica: does the changed replica say the version, answer as it should, and in time?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.rollout import Serves
from standfast.rollout_asking import ask_replica
from standfast.rollout_keeping import ours
from standfast.rollout_steps import LoadedStep, VerifiedAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model
    from standfast.golden import Golden
    from standfast.model_versions import ModelVersion
    from standfast.rollout import Finding

LOOK_SECONDS = 6.0
EVERY_SECONDS = 1.0


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is verified. Raises FencedError, and NotServingError when it is wrong or takes too long."""
    step = parse_input(LoadedStep, event, "the VerifyReplica task")
    table = bootstrap.cluster_table()
    view = table.view()
    wanted, config = ours(view.scope, step).wanted, view.applied.config
    recorded = table.read_golden(wanted.name, wanted.version)
    found = asyncio.run(_looked(step.next.url, wanted, config.model, recorded))
    late = bootstrap.clock().now() - step.loading.at > config.rollouts.load_seconds
    if found.serves is Serves.WRONG or (late and found.serves is not Serves.YES):
        raise NotServingError(f"{step.next.replica_id} does not serve {wanted}: {found.reason}")
    return VerifiedAnswer(verified=found.serves is Serves.YES, reason=found.reason).model_dump(mode="json")


async def _looked(url: str, wanted: ModelVersion, model: Model, recorded: Sequence[Golden]) -> Finding:
    """What is found once it serves, or answers wrongly, or after LOOK_SECONDS."""
    prober, clock = bootstrap.prober(model), bootstrap.clock()
    until = clock.now() + LOOK_SECONDS
    while True:
        found = await ask_replica(prober, url, wanted, model, recorded, clock.now())
        if found.serves is not Serves.NOT_YET or clock.now() >= until:
            return found
        await clock.sleep(EVERY_SECONDS)
