"""BakeReplica: has the load balancer taken the replica up, and has it served long enough?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from standfast import bootstrap, rollout
from standfast.bootstrap_rollouts import replica_targets
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.rollout_keeping import ours
from standfast.rollout_steps import BakeStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it has baked. Raises FencedError, and NotServingError when it is not taken up in time."""
    step = parse_input(BakeStep, event, "the BakeReplica task")
    view, replica = bootstrap.cluster_table().view(), step.next.replica_id
    ours(view.scope, step)
    config = view.applied.config
    states = replica_targets().states(config.region(step.scope_id).cluster(step.cluster_id).target_group_arn)
    now, returned_at = bootstrap.clock().now(), step.returned.at
    found = states.get(replica, "not registered")
    if found != "healthy" and now - returned_at > rollout.TAKEN_UP_SECONDS:
        raise NotServingError(
            f"the load balancer finds {replica} {found}, {now - returned_at:.0f} s after it came back"
        )
    return asdict(rollout.judge_bake(found == "healthy", returned_at, config.rollouts.replica_bake_seconds, now))
