"""Whether to fail over, where to, and what to say about it.

Times are seconds since the epoch. Every decision carries a reason that an on-caller understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.errors import AutomationOffError, InvalidInputError, NoStandbyProvenError
from standfast.fleet import Automation, Role
from standfast.health import Assessment, EndpointProbe, Verdict
from standfast.lease import Purpose
from standfast.rule_weights import of_clusters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from standfast.brake import Brake, Override
    from standfast.fleet import Cluster, Region
    from standfast.stores import ScopeRecord, View
    from standfast.traffic import Desired

HOLD_DOWN_LIMIT = 16
"""The hold-down doubles with each failed attempt, up to this many times its first length."""


FAILED = frozenset({Role.DRAINING, Role.QUARANTINED})
"""Roles of a cluster that failed. *Draining* is left behind by a failover that ended between two of its last steps,
until the reconciler finds it."""


class StartAction(StrEnum):
    """What the watcher does about the active cluster."""

    NONE = "none"
    HOLD = "hold"
    START = "start"


@dataclass(frozen=True, slots=True)
class StartDecision:
    """Whether to start a failover.

    `incident_id` is one failure, over all attempts at it. `execution_name` is one attempt: it names the execution, so
    that a second trigger is harmless. `next_change_at`: when it may be another with nothing else changed.
    """

    action: StartAction
    reason: str
    incident_id: str = ""
    execution_name: str = ""
    failed_cluster_id: str = ""
    next_change_at: float | None = None


def incident_id(scope_id: str, cluster_id: str, desired: Desired) -> str:
    """The incident "this cluster failed while that state was desired"."""
    return f"{scope_id}-{cluster_id}-v{desired.version}"


def execution_name(incident: str, attempts: int, automation: Automation) -> str:
    """The name of the attempt, at most 80 characters (the limit of Step Functions).

    It stays the same for every trigger until an attempt has ended. Step Functions accepts a name once in 90 days. An
    observed incident has a name of its own, so that it can still be acted on once the switch is set to run.
    """
    observed = "-observed" if automation is Automation.OBSERVE else ""
    return f"{incident}-a{attempts}{observed}"


def hold_down_seconds(attempts: int, first: float) -> float:
    """The wait after the given number of failed attempts: `first`, doubled each time, at most 16 times as long."""
    return first * min(1 << max(attempts - 1, 0), HOLD_DOWN_LIMIT)


def decide_start(
    scope_id: str, record: ScopeRecord, assessments: Mapping[str, Assessment], brake: Brake, now: float
) -> StartDecision:
    """Whether the active cluster's assessment calls for a failover now."""
    active = record.desired.cluster_with(Role.ACTIVE)
    assessment = assessments.get(active) if active else None
    if active is None or assessment is None:
        return StartDecision(StartAction.NONE, "no cluster is active and assessed")
    if assessment.verdict is not Verdict.UNHEALTHY:
        return StartDecision(StartAction.NONE, f"{active} is {assessment.verdict}: {assessment.reason}")
    dead = f"{active} is dead: {assessment.reason}"
    switch = brake.of(scope_id, active)
    if switch.automation is Automation.OFF:
        return StartDecision(StartAction.HOLD, f"{dead}; the switch is {switch}, so nothing is started")
    if record.lease.holder is not None and record.lease.purpose is Purpose.FAILOVER:
        return StartDecision(StartAction.HOLD, f"{dead}; {record.lease.holder} is at work on it")
    if now < record.not_before:
        wait = f"attempt {record.attempts} did not succeed; the next may start in {record.not_before - now:.0f} s"
        return StartDecision(StartAction.HOLD, f"{dead}; {wait}", next_change_at=record.not_before)
    incident = incident_id(scope_id, active, record.desired)
    name = execution_name(incident, record.attempts, switch.automation)
    return StartDecision(StartAction.START, dead, incident, name, active)


@dataclass(frozen=True, slots=True)
class Admission:
    """Which cluster the traffic must leave, and whether this execution may change anything."""

    failed_cluster_id: str
    may_change: bool
    held_back: str = ""


def admit(
    failed_cluster_id: str | None, view: View, brake: Brake, region: Region, override: Override | None = None
) -> Admission:
    """Whether an execution may begin; None asks for a preflight, which pretends that the active cluster failed.

    The switches of fleet, Region and failed cluster count, unless somebody overrides them. Raises AutomationOffError,
    UnknownClusterError, and InvalidInputError when there is no traffic to move.
    """
    active = view.scope.desired.cluster_with(Role.ACTIVE)
    failed = failed_cluster_id or active
    if failed is None:
        raise InvalidInputError("no cluster is active, so there is nothing to move")
    region.cluster(failed)
    if failed != active:
        role = view.scope.desired.roles.get(failed, Role.STANDBY)
        raise InvalidInputError(
            f"failed_cluster_id: {failed} is {role}, the active cluster is {active}; nothing to move"
        )
    if failed_cluster_id is not None and override is not None:
        return Admission(failed, may_change=True)
    switch = brake.of(view.scope.scope_id, failed)
    if switch.automation is Automation.OFF:
        raise AutomationOffError(f"the switch is {switch}; set it to run or observe first, or give break_glass")
    if failed_cluster_id is None:
        return Admission(failed, may_change=False, held_back="this is a preflight")
    if switch.automation is Automation.OBSERVE:
        return Admission(failed, may_change=False, held_back=f"the switch says {switch}")
    return Admission(failed, may_change=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a candidate: canaries asked just now, and the watch's last judgement.

    `answered` replicas answered their canary; `failure` is why one of the others did not. `assessed_at` is None when
    the watch has not judged it yet. `nodes` is what keeps the nodes' reports from being a proof too, if anything.
    """

    cluster_id: str
    answered: int
    failure: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    verdict_reason: str = ""
    assessed_at: float | None = None
    nodes: str = ""


def proof(
    cluster_id: str, canaries: Sequence[EndpointProbe], assessment: Assessment | None, *, nodes: str | None = None
) -> Proof:
    """Sum up what was just asked and what the watch knew."""
    failed = next((canary for canary in canaries if not canary.passed), None)
    answered = sum(canary.passed for canary in canaries)
    failure = str(failed.outcome) if failed else ""
    if assessment is None:
        return Proof(cluster_id, answered, failure, nodes=nodes or "")
    verdict, reason, assessed_at = assessment.verdict, assessment.reason, assessment.assessed_at
    return Proof(cluster_id, answered, failure, verdict, reason, assessed_at, nodes or "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Where the traffic goes, and why. `overload` is a sentence when the candidate is smaller than what failed.

    `sheds_low_priority`: what is of low priority does not come along, because of that.
    """

    cluster_id: str
    reason: str
    overload: str = ""
    sheds_low_priority: bool = False


def limitation(proof: Proof, role: Role, cluster: Cluster, fresh_seconds: float, now: float) -> str | None:
    """Why a cluster may not take the traffic, or None when it may."""
    if role in FAILED:
        return f"it is {role}: it failed, and takes no traffic until a person says that it is mended"
    if role is Role.CANARY:
        return "it serves a version on trial, and a failover promotes nothing that still bakes"
    if 2 * proof.answered < cluster.replicas:
        why = f": {proof.failure}" if proof.failure else ""
        return f"{proof.answered} of {cluster.replicas} replicas answered a canary just now{why}"
    if proof.assessed_at is None:
        return "the watch has not assessed it yet"
    age = now - proof.assessed_at
    if age > fresh_seconds:
        return f"its last assessment is {age:.0f} s old, more than {fresh_seconds:g} s"
    if proof.verdict in (Verdict.UNHEALTHY, Verdict.UNKNOWN):
        return f"the watch found it {proof.verdict}: {proof.verdict_reason}"
    return proof.nodes or None


def select(
    failed_cluster_id: str,
    proofs: Sequence[Proof],
    desired: Desired,
    clusters: Mapping[str, Cluster],
    fresh_seconds: float,
    now: float,
    *,
    tried: Collection[str] = (),
    held: Mapping[str, str] | None = None,
    sheds: bool = False,
) -> Selection:
    """Choose the proven candidate with the most replicas that answer. Raises NoStandbyProvenError with each reason.

    A candidate that carries the traffic already comes first: an earlier attempt moved it and did not finish. `held` is
    cluster id -> why its own switch keeps automation away from it; `sheds`, whether the entry can shed what a saturated
    cluster cannot carry.
    """
    refused: list[str] = []
    fit: list[tuple[bool, int, str]] = []
    for candidate in sorted(proofs, key=lambda proof: proof.cluster_id):
        name = candidate.cluster_id
        if name == failed_cluster_id:
            continue
        role = desired.roles.get(name, Role.STANDBY)
        why_not = limitation(candidate, role, clusters[name], fresh_seconds, now)
        if name in tried:
            why_not = "it was tried in this failover and did not serve"
        why_not = why_not or (held or {}).get(name)
        if why_not:
            refused.append(f"{name}: {why_not}")
        else:
            fit.append((desired.weights.get(name, 0) > 0, candidate.answered, name))
    if not fit:
        reasons = "; ".join(refused) or "there is no other cluster"
        raise NoStandbyProvenError(f"nothing is proven to take the traffic of {failed_cluster_id}: {reasons}")
    _, answered, chosen = max(fit)
    lost, there = clusters[failed_cluster_id].replicas, clusters[chosen].replicas
    overload = ""
    if there < lost:
        overload = f"{chosen} has {there} replicas for the traffic of {lost}: " + (
            "what saturates it is shed, answered 503 with Retry-After, until capacity is back"
            if sheds
            else "expect queueing until capacity is back, for nothing is shed"
        )
    reason = f"{chosen} is proven: {answered} of {there} replicas answered a canary just now"
    return Selection(chosen, "; ".join([reason, *refused]), overload)


def roles_after(desired: Desired, failed_cluster_id: str, chosen: str) -> dict[str, Role]:
    """The roles once the traffic is proven to be served by the chosen cluster: the failed one drains."""
    roles = dict(desired.roles)
    roles[chosen] = Role.ACTIVE
    if failed_cluster_id != chosen and roles.get(failed_cluster_id) not in FAILED:
        roles[failed_cluster_id] = Role.DRAINING
    return roles


def roles_after_drain(desired: Desired) -> dict[str, Role]:
    """The roles once nobody drains any more: what drained is quarantined."""
    return {name: Role.QUARANTINED if role is Role.DRAINING else role for name, role in desired.roles.items()}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A failover that ended between the weights and the roles: the traffic left `failed` for `chosen`, unrecorded."""

    failed: str
    chosen: str


def unfinished(desired: Desired) -> Unfinished | None:
    """What a failover left behind that moved all traffic and did not come to record it; None when all is recorded."""
    serving = [name for name, weight in of_clusters(desired.weights).items() if weight]
    active = desired.cluster_with(Role.ACTIVE)
    if active is None or len(serving) != 1 or serving[0] == active or desired.move is not None:
        return None
    return Unfinished(failed=active, chosen=serving[0])


def why_not_settled(left: Unfinished, assessments: Mapping[str, Assessment], fresh_seconds: float, now: float) -> str:
    """Why the move may not be recorded yet, or nothing when the watch proves that it is served (law 8)."""
    found = assessments.get(left.chosen)
    if found is None or now - found.assessed_at > fresh_seconds:
        return f"nobody has judged {left.chosen} of late"
    if found.verdict not in (Verdict.HEALTHY, Verdict.DEGRADED):
        return f"{left.chosen} is {found.verdict}: {found.reason}"
    return ""


def roles_with_readmitted(cluster_id: str, desired: Desired) -> dict[str, Role]:
    """The roles with the failed cluster as standby. Raises InvalidInputError when it had not failed."""
    role = desired.roles.get(cluster_id, Role.STANDBY)
    if role not in FAILED:
        raise InvalidInputError(f"cluster_id: {cluster_id} is {role}, not quarantined; there is nothing to readmit")
    return {**desired.roles, cluster_id: Role.STANDBY}
