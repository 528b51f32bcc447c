"""ChooseReplica: the next replica of the update, once it can be spared; written down, then out of the target group."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, capacity, rollout
from standfast.bootstrap_rollouts import replica_targets
from standfast.brake import check_not_frozen, check_still_runs
from standfast.errors import NoHeadroomError
from standfast.fleet import parse_input
from standfast.model_versions import CanaryLoad, ReplicaPhase
from standfast.rollout import NextAction, Standing
from standfast.rollout_keeping import note, ours, update_of
from standfast.rollout_steps import NextAnswer, NextStep

GONE = frozenset({"draining", "unused"})
"""A target on its way out, or one that the load balancer does not use."""


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
    config, name = view.applied.config, step.cluster_id
    cluster = config.region(step.scope_id).cluster(name)
    targets = replica_targets()
    states = targets.states(cluster.target_group_arn)
    urls = {each.replica_id: each.url for each in view.replicas.get(name, ())}
    healthy = frozenset(replica for replica, state in states.items() if state == "healthy")
    has_traffic = view.scope.desired.weights.get(name, 0) > 0
    standing = Standing(
        cluster=cluster,
        registered={
            replica: urls[replica] for replica, state in states.items() if state not in GONE and replica in urls
        },
        healthy=healthy,
        assessment=view.assessments.get(name),
        fit=capacity.of_rest(name, cluster, len(healthy) - 1, view.loads, now) if has_traffic else None,
    )
    since = step.next.waits_since if step.next else None
    may_wait = since is None or now - since <= config.rollouts.patience_seconds
    found = rollout.choose(update, standing, config.detection.fresh_seconds, now, may_wait=may_wait)
    if found.action is NextAction.WAIT and not may_wait:
        raise NoHeadroomError(f"{found.reason}, for {config.rollouts.patience_seconds} s")
    if found.action is NextAction.REPLICA:
        replica, url = found.replica_id, found.url
        note(step, lambda known: known.with_replica(replica, ReplicaPhase.OUT, url), found.reason, table, now)
        targets.take_out(cluster.target_group_arn, replica)
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
