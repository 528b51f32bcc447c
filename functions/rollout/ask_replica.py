"""AskReplica: the replica has traffic; does it go on answering as it should?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.rollout import Serves
from standfast.rollout_asking import ask_replica
from standfast.rollout_keeping import ours
from standfast.rollout_steps import BakeStep

if TYPE_CHECKING:
    from standfast.fleet import Model
    from standfast.model_versions import ModelVersion
    from standfast.rollout import Finding


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was found. Raises FencedError, and NotServingError when it does not serve any more."""
    step = parse_input(BakeStep, event, "the AskReplica task")
    view = bootstrap.cluster_table().view()
    wanted = ours(view.scope, step).wanted
    found = asyncio.run(_asked(step.next.url, wanted, view.applied.config.model))
    if found.serves is not Serves.YES:
        raise NotServingError(f"{step.next.replica_id} does not serve {wanted} under traffic: {found.reason}")
    return asdict(found)


async def _asked(url: str, wanted: ModelVersion, model: Model) -> Finding:
    """What fails once may be a hiccup: it is asked again, unless the answer was wrong."""
    prober, clock = bootstrap.prober(model), bootstrap.clock()
    recorded = bootstrap.cluster_table().read_golden(wanted.name, wanted.version)
    found = await ask_replica(prober, url, wanted, model, recorded, clock.now())
    if found.serves is Serves.NOT_YET:
        found = await ask_replica(prober, url, wanted, model, recorded, clock.now())
    return found
