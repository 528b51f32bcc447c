"""ChooseReplica: the next replica of the update, once it can be spared; written down, then out of the target group."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, rollout
from standfast.bootstrap_rollouts import replica_targets
from standfast.brake import check_not_frozen, check_still_runs
from standfast.errors import NoHeadroomError
from standfast.fleet import parse_input
from standfast.model_versions import CanaryLoad, ReplicaPhase
from standfast.rollout import NextAction
from standfast.rollout_keeping import note, ours, update_of
from standfast.rollout_standing import standing_of
from standfast.rollout_steps import NextAnswer, NextStep
from standfast.rollout_surge import surplus


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the replica, or to wait, or that there is none left.

    Raises FencedError when somebody else was granted the lease, AutomationOffError when the brake was pulled or,
    on the way there, rollouts were frozen, and NoHeadroomError when no replica could be spared for as long as
    FleetConfig waits.
    """
    step = parse_input(NextStep, event, "the ChooseReplica task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    update = update_of(ours(view.scope, step))
    if (over := rollout.canary_over(update)) != update:
        update = update_of(note(step, rollout.canary_over, over.reverting, table, now))
    if not step.break_glass:
        brake = bootstrap.region_table().glance_at_brake()
        check_still_runs(brake, step.scope_id, step.cluster_id)
        if not update.reverting:  # two versions are not left standing because another Region is out
            check_not_frozen(brake)
    config, targets = view.applied.config, replica_targets()
    target_group = config.region(step.scope_id).cluster(step.cluster_id).target_group_arn
    standing = standing_of(view, step.cluster_id, targets.states(target_group), now)
    since = step.next.waits_since if step.next else None
    may_wait = since is None or now - since <= config.rollouts.patience_seconds
    found = rollout.choose(update, standing, config.detection.fresh_seconds, now, may_wait=may_wait)
    if found.action is NextAction.WAIT and not may_wait:
        raise NoHeadroomError(f"{found.reason}, for {config.rollouts.patience_seconds} s")
    if found.action is NextAction.DONE and update.surge is not None:
        found = surplus(update, standing, update.surge)
    if found.replica_id:
        replica, url = found.replica_id, found.url
        phase = ReplicaPhase.OUT if found.action is NextAction.REPLICA else ReplicaPhase.LEFT
        note(step, lambda known: known.with_replica(replica, phase, url), found.reason, table, now)
        targets.take_out(target_group, replica)
    answer = NextAnswer(
        action=found.action,
        reason=found.reason,
        replica_id=found.replica_id,
        url=found.url,
        at=now,
        waits_since=(since or now) if found.action is NextAction.WAIT else None,
        reverting=bool(update.reverting),
        canary_served=update.canary is CanaryLoad.SERVED,
    )
    return answer.model_dump(mode="json")
