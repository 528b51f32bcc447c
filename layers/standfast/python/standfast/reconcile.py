"""What keeps a scope right between failovers: actual weights are desired ones, and no lease outlives its holder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import (
    announcements,
    deployment_announcements,
    deployments,
    failover,
    lease,
    move_announcements,
    move_judgement,
    planned_events,
    planned_move,
    rollout,
    rollout_announcements,
    traffic,
)
from standfast.errors import ConflictError, FencedError, LeaseHeldError
from standfast.fleet import Role
from standfast.lease import HolderState, Purpose
from standfast.move_judgement import SettleAction
from standfast.scope_ports import ScopePorts
from standfast.traffic import DriftAction

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from standfast.deployment_ports import Deployments
    from standfast.rollout_ports import RollingUpdates
    from standfast.stores import ScopeRecord, View

REFUSED = "FailoverRefused"
TOLD = frozenset(
    {
        REFUSED,
        "FailoverDidNotSucceed",
        "MoveDidNotSucceed",
        "RolloutRefused",
        "RolloutPutBack",
        "RolloutStopped",
        "DeploymentRefused",
        "DeploymentUndone",
        "DeploymentStopped",
    }
)
"""The errors of the machine's own Fail states: whoever comes there was told, or started it by hand and sees it."""
STEP_SECONDS = 30.0
"""A step is over by then: a few calls of 3 s at most each."""
STEPS = frozenset({Purpose.SHED, Purpose.RECOVERY})
"""What a lease is held for within one step only."""
SOMEBODY_ELSE = (LeaseHeldError, ConflictError, FencedError)
"""Raised where another changes the scope: what was left half-way is looked at again in five seconds."""
SETTLING_SECONDS = 10.0
"""Between the write of desired weights and that of the rule they differ by rights. Copying them is right then too; to
call it a repair would be a false alarm."""


@dataclass(frozen=True, slots=True)
class Reconciler(ScopePorts):
    """One scope with its ports. Every method may be repeated, and several may run at once."""

    def verify(self, now: float) -> str:
        """Compare actual with desired weights and mend what is a stale write. Returns the finding in a sentence."""
        view = self.views.view()
        entry = view.applied.config.region(self.scope_id).bound_entry()
        actual = self.balancer.read_weights(entry)
        desired = self.scopes.read(self.scope_id).desired
        decision = traffic.decide_drift(desired, actual, entry)
        if decision.action is DriftAction.NONE:
            return decision.reason
        repair = decision.action is DriftAction.REPAIR and not self.switches.read_brake().why_not(self.scope_id)
        if repair:
            traffic.apply_desired(self.scope_id, entry, self.scopes, self.balancer)
        if repair and now - desired.updated_at < SETTLING_SECONDS:
            return f"{decision.reason}; they were just changed, so whoever changed them may be writing them now"
        self.tell(announcements.drifted(self.scope_id, decision.reason, repaired=repair), "drift", now)
        return decision.reason

    def recover(self, now: float) -> str:
        """Release the lease of an execution that ended without releasing it, with a hold-down, and tell somebody."""
        view = self.views.view()
        holder = view.scope.lease.holder
        if holder is None:
            return "the lease is free"
        if lease.state_of(holder, self.executions, now) is not HolderState.ENDED:
            return f"{holder} holds the lease and is at work"
        retry_at = self._release(view, now)
        if retry_at is None:
            return "somebody else was granted the lease meanwhile"
        if view.scope.lease.purpose in STEPS:
            return f"{holder} ended within its step and held the lease; released"
        announcement = announcements.ended_half_way(view.scope, holder, "ended", retry_at)
        self.tell(announcement, _name(holder), now)
        return f"{holder} ended and held the lease; released"

    def settle(self, now: float) -> str:
        """Record a move that a failover made and could not record, once the watch proves that it is served.

        The traffic does not move by that: what is written down becomes what is.
        """
        view = self.views.view()
        left = failover.unfinished(view.scope.desired)
        if left is None or view.scope.lease.holder is not None:
            return ""
        config = view.applied.config
        why_not = failover.why_not_settled(left, view.assessments, config.detection.fresh_seconds, now)
        why_not = self.switches.read_brake().why_not(self.scope_id, left.failed, left.chosen) or why_not
        moved = f"the traffic is on {left.chosen} and {left.failed} is still called active"
        if why_not:
            return f"; {moved}; it is not recorded yet: {why_not}"
        try:
            with self._step(view.scope.desired.version, now) as token:
                traffic.record_roles(
                    self.scope_id,
                    lambda desired: failover.roles_after(desired, left.failed, left.chosen),
                    self.scopes,
                    token=token,
                    reason=f"a failover ended before it recorded that {left.chosen} serves",
                    now=now,
                )
        except SOMEBODY_ELSE as error:
            return f"; {moved}; somebody else was first: {error}"
        self.tell(announcements.settled(self.scope_id, left), f"settled-v{view.scope.desired.version}", now)
        return f"; {moved}; recorded"

    def settle_drain(self, now: float) -> str:
        """Quarantine the cluster that a failover left draining when it ended. No traffic moves: it has none."""
        view = self.views.view()
        desired = view.scope.desired
        drained = desired.cluster_with(Role.DRAINING)
        if drained is None or desired.weights.get(drained) or view.scope.lease.holder is not None:
            return ""
        found = f"{drained} failed and was left draining"
        if why_not := self.switches.read_brake().why_not(self.scope_id, drained):
            return f"; {found}; {why_not}"
        try:
            with self._step(desired.version, now) as token:
                traffic.record_roles(
                    self.scope_id,
                    failover.roles_after_drain,
                    self.scopes,
                    token=token,
                    reason=f"a failover ended before it put {drained} into quarantine",
                    now=now,
                )
        except SOMEBODY_ELSE as error:
            return f"; {found}; somebody else was first: {error}"
        return f"; {found}; quarantined"

    def settle_move(self, now: float) -> str:
        """Finish or undo a planned move that nobody is at work on any more: its execution was stopped, or lost it."""
        view = self.views.view()
        config, desired = view.applied.config, view.scope.desired
        move = desired.move
        if move is None or view.scope.lease.holder is not None:
            return ""
        if desired.deployment is not None and desired.deployment.green == move.target:
            return ""  # a version on trial is not promoted by that: see settle_deployment
        fresh = config.detection.fresh_seconds
        decision = move_judgement.decide_settle(desired, view.assessments, fresh, now)
        found = f"a planned move from {move.source} to {move.target} was left half-way; {decision.reason}"
        why_not = self.switches.read_brake().why_not(self.scope_id, move.source, move.target)
        if decision.action is SettleAction.NONE or why_not:
            return f"; {found}; {why_not or 'nothing is done'}"
        finished = decision.action is SettleAction.FINISH
        try:
            with self._step(desired.version, now) as token:
                following = desired.next(
                    token=token,
                    reason=found,
                    now=now,
                    weights=None if finished else move.before,
                    roles=planned_move.roles_after(desired, move.source, move.target) if finished else None,
                    ends_move=True,
                )
                self.scopes.write_desired(self.scope_id, token=token, seen_version=desired.version, desired=following)
                entry = config.region(self.scope_id).bound_entry()
                traffic.apply_desired(self.scope_id, entry, self.scopes, self.balancer)
        except SOMEBODY_ELSE as error:
            return f"; {found}; somebody else was first: {error}"
        announcement = move_announcements.settled(self.scope_id, move, decision.reason, finished=finished)
        self.tell(announcement, f"settled-v{desired.version}", now)
        return f"; {found}; {'finished' if finished else 'undone'}"

    def put_back_updates(self, rollouts: RollingUpdates, now: float) -> str:
        """Have an update of a model put back on which nobody is at work: its execution ended, or lost the lease."""
        view = self.views.view()
        scope, said = view.scope, ""
        if scope.lease.holder is not None or not scope.desired.models:
            return ""
        brake = self.switches.read_brake()
        for cluster_id, served in sorted(scope.desired.models.items()):
            why_not = brake.why_not(self.scope_id, cluster_id) or ""
            found = rollout.decide_put_back(cluster_id, served, scope.lease.token, why_not)
            if found is None:
                continue
            said += f"; {found.reason}"
            if found.name:
                payload = {
                    "scope_id": self.scope_id,
                    "cluster_id": cluster_id,
                    "put_back": True,
                    "reason": found.reason,
                    "trigger": "reconcile",
                }
                rollouts.start_rolling_update(found.name, payload)
            announcement = rollout_announcements.left_half_way(self.scope_id, cluster_id, found)
            self.tell(announcement, f"{cluster_id}-update", now, cluster_id=cluster_id)
        return said

    def settle_deployment(self, deploying: Deployments, now: float) -> str:
        """Have a deployment finished or undone on which nobody is at work: its execution ended, or lost the lease."""
        scope = self.scopes.read(self.scope_id)
        left = scope.desired.deployment
        if left is None or scope.lease.holder is not None:
            return ""
        why_not = self.switches.read_brake().why_not(self.scope_id, left.blue) or ""
        found = deployments.decide_settle(left, scope.lease.token, why_not)
        if found.name:
            payload = {
                "scope_id": self.scope_id,
                "cluster_id": left.blue,
                "settle": True,
                "reason": left.undoing or found.reason,
                "trigger": "reconcile",
            }
            deploying.start_deployment(found.name, payload)
        announcement = deployment_announcements.left_half_way(self.scope_id, left, found)
        self.tell(announcement, f"settled-{left.deployment_id}", now)
        return f"; {found.reason}"

    def fail_back(self, now: float) -> str:
        """Start the failback where FleetConfig wants it to start by itself and its hold-down is over."""
        view = self.views.view()
        if not view.applied.config.moves.automatic_failback:
            return ""
        decision = planned_move.decide_failback(self.scope_id, view, self.switches.read_brake(), now)
        if not decision.execution_name:
            return f"; {decision.reason}"
        payload = {
            "mode": "failback",
            "scope_id": self.scope_id,
            "to_cluster_id": decision.target,
            "reason": decision.reason,
            "trigger": "reconcile",
        }
        started = self.executions.start_failover(decision.execution_name, payload)
        return f"; {decision.reason}; {'the failback is started' if started else 'it was tried and did not succeed'}"

    def _step(self, version: int, now: float) -> AbstractContextManager[int]:
        claim = lease.Claim(lease.step_holder("reconcile", f"v{version}", now + STEP_SECONDS), Purpose.ROLLOUT)
        return lease.for_step(self.scope_id, claim, self.scopes, self.executions, now)

    def ended(self, execution_arn: str, status: str, error: str, now: float) -> str:
        """An execution ended as FAILED, TIMED_OUT or ABORTED. Its lease is released; somebody is told, once."""
        recovered = self.recover(now)
        unseen = error == REFUSED and planned_events.is_for_one(execution_arn, self.scope_id)
        if error in TOLD and not unseen:
            return f"{recovered}; {execution_arn} told what happened itself"
        announcement = announcements.ended_half_way(self.scopes.read(self.scope_id), execution_arn, status, None)
        self.tell(announcement, _name(execution_arn), now)
        return f"{recovered}; told of {execution_arn}"

    def _release(self, view: View, now: float) -> float | None:
        record: ScopeRecord = view.scope
        attempts, retry_at = record.attempts, record.not_before
        if record.lease.purpose is Purpose.FAILOVER:  # what else broke off delays no failover
            attempts += 1
            retry_at = now + failover.hold_down_seconds(attempts, view.applied.config.failover.hold_down_seconds)
        try:
            self.scopes.release(self.scope_id, token=record.lease.token, attempts=attempts, not_before=retry_at)
        except FencedError:
            return None
        return retry_at


def _name(execution_arn: str) -> str:
    return execution_arn.rsplit(":", 1)[-1]
