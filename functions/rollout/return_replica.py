"""ReturnReplica: a verified replica gets traffic again. Written down first: from now on it must be of its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.bootstrap_rollouts import replica_targets
from standfast.fleet import parse_input
from standfast.model_versions import ReplicaPhase
from standfast.rollout_keeping import note
from standfast.rollout_steps import ReplicaStep, ReturnedAnswer

if TYPE_CHECKING:
    from standfast.model_versions import ModelUpdate


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer when. Raises FencedError. One that is back on the version of before is not touched any more."""
    step = parse_input(ReplicaStep, event, "the ReturnReplica task")
    table, now, replica = bootstrap.cluster_table(), bootstrap.clock().now(), step.next.replica_id

    def changed(update: ModelUpdate) -> ModelUpdate:
        if update.reverting:
            return update.without_replica(replica)
        return update.with_replica(replica, ReplicaPhase.BACK, step.next.url)

    note(step, changed, f"{replica} is verified", table, now)
    region = table.read_config().config.region(step.scope_id)
    replica_targets().bring_back(region.cluster(step.cluster_id).target_group_arn, replica)
    return ReturnedAnswer(at=now).model_dump(mode="json")
