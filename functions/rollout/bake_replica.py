"""BakeReplica: the replica has traffic; does it go on answering as it should?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, rollout
from standfast.bootstrap_rollouts import replica_targets
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
    """Answer whether it has baked. Raises FencedError, and NotServingError when it does not serve any more."""
    step = parse_input(BakeStep, event, "the BakeReplica task")
    view = bootstrap.cluster_table().view()
    wanted, config, replica = ours(view.scope, step).wanted, view.applied.config, step.next.replica_id
    states = replica_targets().states(config.region(step.scope_id).cluster(step.cluster_id).target_group_arn)
    found = asyncio.run(_asked(step.next.url, wanted, config.model))
    now, returned_at = bootstrap.clock().now(), step.returned.at
    if found.serves is not Serves.YES:
        raise NotServingError(f"{replica} does not serve {wanted} under traffic: {found.reason}")
    healthy = states.get(replica) == "healthy"
    if not healthy and now - returned_at > rollout.TAKEN_UP_SECONDS:
        said = states.get(replica, "not registered")
        raise NotServingError(f"the load balancer finds {replica} {said}, {now - returned_at:.0f} s after it came back")
    return asdict(rollout.judge_bake(healthy, returned_at, config.rollouts.replica_bake_seconds, now))


async def _asked(url: str, wanted: ModelVersion, model: Model) -> Finding:
    """What fails once may be a hiccup: it is asked again, unless the answer was wrong."""
    prober, clock, table = bootstrap.prober(model), bootstrap.clock(), bootstrap.cluster_table()
    recorded = table.read_golden(wanted.name, wanted.version)
    found = await ask_replica(prober, url, wanted, model, recorded, clock.now())
    if found.serves is Serves.NOT_YET:
        found = await ask_replica(prober, url, wanted, model, recorded, clock.now())
    return found
