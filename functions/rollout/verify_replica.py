"""VerifyReplica: does the changed replica say the version, answer as it should, and in time?"""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import bootstrap
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.rollout import Serves
from standfast.rollout_asking import ask_replica
from standfast.rollout_keeping import ours
from standfast.rollout_steps import LoadedStep, VerifiedAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is verified. Raises FencedError, and NotServingError when it is wrong or takes too long."""
    step = parse_input(LoadedStep, event, "the VerifyReplica task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    wanted, config = ours(view.scope, step).wanted, view.applied.config
    recorded = table.read_golden(wanted.name, wanted.version)
    prober = bootstrap.prober(config.model)
    found = asyncio.run(ask_replica(prober, step.next.url, wanted, config.model, recorded, now))
    late = now - step.loading.at > config.rollouts.load_seconds
    if found.serves is Serves.WRONG or (late and found.serves is not Serves.YES):
        raise NotServingError(f"{step.next.replica_id} does not serve {wanted}: {found.reason}")
    return VerifiedAnswer(verified=found.serves is Serves.YES, reason=found.reason).model_dump(mode="json")
