"""Moves that nobody was forced to: switchover and failback, in stages, from a cluster that serves. Pure.

A planned move holds the lease as a rollout does, so a failover takes it away. What is under way stands in desired
state (`traffic.Move`), so that a move whose holder is gone can be finished or undone. Times are seconds since the
epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from standfast import failover
from standfast.brake import check_not_frozen
from standfast.errors import AutomationOffError, InvalidInputError, NoHeadroomError, NoStandbyProvenError
from standfast.failover import FAILED, Selection
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.move_rules import WHOLE
from standfast.traffic import Move, shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.brake import Brake, Override
    from standfast.capacity import Fit
    from standfast.failover import Proof
    from standfast.fleet import Cluster, Region
    from standfast.health import Assessment
    from standfast.stores import View
    from standfast.traffic import Desired, Weights

SERVES = frozenset({Verdict.HEALTHY, Verdict.DEGRADED})


@dataclass(frozen=True, slots=True)
class MoveAdmission:
    """From where, to where (None: to whatever is proven), and whether this execution may change anything."""

    source: str
    target: str | None
    may_change: bool
    held_back: str = ""


def serves(assessment: Assessment | None, fresh_seconds: float, now: float) -> bool:
    """Whether the watch found, just now, that a cluster serves."""
    return assessment is not None and now - assessment.assessed_at <= fresh_seconds and assessment.verdict in SERVES


def is_dead(assessment: Assessment | None, fresh_seconds: float, now: float) -> bool:
    """Whether the watch found, just now, that a cluster is dead. Unknown is not dead."""
    fresh = assessment is not None and now - assessment.assessed_at <= fresh_seconds
    return fresh and assessment is not None and assessment.verdict is Verdict.UNHEALTHY


def admit(
    mode: str,
    to_cluster_id: str | None,
    view: View,
    brake: Brake,
    region: Region,
    now: float,
    override: Override | None = None,
) -> MoveAdmission:
    """Whether a planned move may begin. The switches of fleet, Region and both clusters count, unless overridden.

    Raises AutomationOffError, UnknownClusterError, and InvalidInputError with what stands against it.
    """
    desired, config = view.scope.desired, view.applied.config
    if override is None:
        check_not_frozen(brake)
    source = desired.cluster_with(Role.ACTIVE)
    if source is None:
        raise InvalidInputError("no cluster is active, so there is nothing to move")
    target = to_cluster_id
    if mode == "failback":
        target = to_cluster_id or next(name for name, each in region.clusters.items() if each.role == "active")
    if target is not None:
        _check_target(target, source, desired, region)
    if mode == "failback":
        _check_hold_down(desired, config.moves.failback_after_seconds, now)
    fresh = config.detection.fresh_seconds
    found = view.assessments.get(source)
    if is_dead(found, fresh, now):
        raise InvalidInputError(f"mode: {source} is dead, which is no case for a {mode}; start it with mode failover")
    if not serves(found, fresh, now):
        raise InvalidInputError(f"{source} has no fresh verdict of the watch; a {mode} needs a source that serves")
    switch = brake.of(view.scope.scope_id, source, *([target] if target else []))
    if switch.automation is Automation.OFF and override is None:
        raise AutomationOffError(f"the switch is {switch}; set it to run or observe first, or give break_glass")
    if switch.automation is Automation.OBSERVE and override is None:
        return MoveAdmission(source, target, may_change=False, held_back=f"the switch says {switch}")
    return MoveAdmission(source, target, may_change=True)


@dataclass(frozen=True, slots=True)
class FailbackDecision:
    """Whether to start a failback now; `execution_name` is empty where not. One name for each version: one attempt.

    `next_change_at`: when it may be another with nothing else changed.
    """

    reason: str
    execution_name: str = ""
    target: str = ""
    next_change_at: float | None = None


def decide_failback(scope_id: str, view: View, brake: Brake, now: float) -> FailbackDecision:
    """Whether to go back by itself to the cluster that FleetConfig calls active. Manual by default.

    Any change of desired state begins the hold-down anew, so that a failback that was given up waits again.
    """
    config, desired = view.applied.config, view.scope.desired
    rules, clusters = config.moves, config.region(scope_id).clusters
    target = next(name for name, each in clusters.items() if each.role == "active")
    source = desired.cluster_with(Role.ACTIVE)
    if not rules.automatic_failback or source is None or source == target or brake.why_not(scope_id, source, target):
        return FailbackDecision("no failback is called for")
    away = f"{source} serves in place of {target}"
    if view.scope.lease.holder is not None or desired.move is not None:
        return FailbackDecision(f"{away}; somebody is at work")
    if brake.frozen:
        return FailbackDecision(f"{away}; rollouts are frozen: {brake.frozen}")
    fresh, found = config.detection.fresh_seconds, view.assessments.get(target)
    healthy = serves(found, fresh, now) and found is not None and found.verdict is Verdict.HEALTHY
    if desired.roles.get(target) is not Role.STANDBY or not healthy:
        return FailbackDecision(f"{away}, which is not proven to be well")
    left = max(desired.moved_at, desired.updated_at) + rules.failback_after_seconds - now
    if left > 0:
        return FailbackDecision(f"{away}; a failback may start in {left:.0f} s", next_change_at=now + left)
    reason = f"{target} is healthy and the hold-down of {rules.failback_after_seconds} s is over"
    return FailbackDecision(reason, f"{scope_id}-failback-v{desired.version}", target)


def _check_hold_down(desired: Desired, hold_down: float, now: float) -> None:
    left = desired.moved_at + hold_down - now
    if left > 0:
        raise InvalidInputError(
            f"mode: the last move is {now - desired.moved_at:.0f} s ago, a failback waits for {hold_down:g} s "
            f"(moves.failback_after_seconds); try again in {left:.0f} s, or use mode switchover"
        )


def _check_target(target: str, source: str, desired: Desired, region: Region) -> None:
    region.cluster(target)
    if target == source:
        raise InvalidInputError(f"to_cluster_id: {target} is active already; there is nothing to move")
    role = desired.roles.get(target, Role.STANDBY)
    if role in FAILED:
        raise InvalidInputError(
            f"to_cluster_id: {target} is {role}; mend it, then invoke the readmit-cluster function with its id"
        )


def choose(
    source: str,
    target: str | None,
    proofs: Sequence[Proof],
    desired: Desired,
    clusters: Mapping[str, Cluster],
    fresh_seconds: float,
    now: float,
    *,
    held: Mapping[str, str],
) -> Selection:
    """Where a planned move goes: to the named cluster, else to the proven one with the most replicas.

    Stricter than a failover, which has no choice: every replica answers, and the watch finds it healthy. Raises
    NoStandbyProvenError with the reason for each. `held`: the clusters that
    a switch keeps automation away from, with the reason.
    """
    refused: list[str] = []
    fit: list[tuple[int, str]] = []
    for candidate in sorted(proofs, key=lambda proof: proof.cluster_id):
        name = candidate.cluster_id
        if name == source or (target is not None and name != target):
            continue
        role = desired.roles.get(name, Role.STANDBY)
        why_not = held.get(name) or _limitation(candidate, role, clusters[name], fresh_seconds, now)
        if why_not:
            refused.append(f"{name}: {why_not}")
        else:
            fit.append((candidate.answered, name))
    if not fit:
        reasons = "; ".join(refused) or "there is no other cluster"
        raise NoStandbyProvenError(f"nothing is proven to take the traffic of {source} as planned: {reasons}")
    answered, chosen = max(fit)
    reason = f"{chosen} is proven: {answered} of {clusters[chosen].replicas} replicas answered a canary just now"
    return Selection(chosen, reason)


def headroom(selection: Selection, fit: Fit, *, accepted: bool) -> Selection:
    """The selection with what is known of its headroom.

    Raises NoHeadroomError with the figure when the traffic does not fit, unless somebody accepted that.
    """
    if fit.share is None:
        return replace(selection, reason=f"{selection.reason}; {fit.reason}, so the stages find out")
    if fit.is_enough:
        return replace(selection, reason=f"{selection.reason}; {fit.reason}")
    if not accepted:
        raise NoHeadroomError(f"{fit.reason}; lower the traffic, add replicas, or set accept_overload in the input")
    return replace(selection, overload=f"{fit.reason}, which was accepted")


def _limitation(proof: Proof, role: Role, cluster: Cluster, fresh_seconds: float, now: float) -> str | None:
    if why_not := failover.limitation(proof, role, cluster, fresh_seconds, now):
        return why_not
    if proof.answered < cluster.replicas:
        why = f": {proof.failure}" if proof.failure else ""
        return f"{proof.answered} of {cluster.replicas} replicas answered a canary just now{why}; nothing is urgent"
    if proof.verdict is not Verdict.HEALTHY:
        return f"the watch found it {proof.verdict}: {proof.verdict_reason}; nothing is urgent"
    return None


def weights_at(stage: int, move: Move, cluster_ids: Sequence[str]) -> Weights:
    """The weights of a stage: so many per cent at the target, the rest at the source."""
    return {**dict.fromkeys(cluster_ids, 0), move.source: WHOLE - stage, move.target: stage}


def is_whole(desired: Desired) -> bool:
    """Whether a planned move has all traffic at its target: only the roles are left to record."""
    return desired.move is not None and list(shares(desired.weights)) == [desired.move.target]


def roles_after(desired: Desired, source: str, target: str) -> dict[str, Role]:
    """The roles after a planned move: its source is well, so it is the standby now."""
    roles = {**desired.roles, target: Role.ACTIVE}
    if roles.get(source) not in FAILED:
        roles[source] = Role.STANDBY
    return roles
