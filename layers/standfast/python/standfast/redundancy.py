"""Whether a Region has a standby, who rebuilds it, and why nobody does. Pure.

| state | when |
|---|---|
| standby | a cluster beside the active one is proven, as a failover would want it |
| unknown | of one that did not fail nobody knows enough just now: it opens nothing and closes nothing (law 3) |
| rebuilding | none is proven, and a recovery is at work |
| lost | none is proven and nobody is at work: the cause is named, with what a person can do |

Times are seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast import node_proof, scaling
from standfast.failover import FAILED
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.incidents import CLOSE_SECONDS, Change, Incident, IncidentDecision, Kind
from standfast.lease import HolderState, Purpose
from standfast.recovery import DAY_SECONDS
from standfast.scaling import Refusal
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.brake import Brake
    from standfast.recovery_record import RecoveryRecord
    from standfast.recovery_rules import RecoveryRules
    from standfast.scaling import FailedActivity
    from standfast.stores import View


class State(StrEnum):
    """How a Region stands."""

    STANDBY = "standby"
    UNKNOWN = "unknown"
    REBUILDING = "rebuilding"
    LOST = "lost"


class Cause(StrEnum):
    """Why nobody rebuilds a standby."""

    CAPACITY = "capacity"
    QUOTA = "quota"
    LAUNCH = "launch refused"
    SPENT = "budget spent"
    SWITCH = "switch"
    BY_HAND = "by hand only"
    FAILED = "recovery failed"
    NOT_BEGUN = "not begun"


_CAUSES = {Refusal.CAPACITY: Cause.CAPACITY, Refusal.QUOTA: Cause.QUOTA, Refusal.OTHER: Cause.LAUNCH}


@dataclass(frozen=True, slots=True)
class Standing:
    """One cluster that is not active. `why_not` is empty where it is proven; `known` is False where evidence lacks."""

    cluster_id: str
    why_not: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the rebuilding of a cluster that is no standby.

    `holder` is the state of whoever has it in charge. `failed` are Auto Scaling's failed activities, the last hour's;
    `unasked` says why they are not known. `said` is what the scheduled look at the cluster found.
    """

    standing: Standing
    record: RecoveryRecord
    holder: HolderState
    failed: Sequence[FailedActivity] = ()
    unasked: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """How the Region stands, in a sentence; `causes` by cluster id where it is lost, `mends` as steps for a person.

    `acts` are for the incident's record: they say the same while nothing changes.
    """

    state: State
    reason: str
    cluster_ids: tuple[str, ...] = ()
    causes: tuple[tuple[str, Cause], ...] = ()
    mends: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()


def standings(view: View, brake: Brake, now: float) -> list[Standing]:
    """Every cluster of the Region but the active one, by the watch's word and its nodes' reports."""
    scope = view.scope
    active = scope.desired.cluster_with(Role.ACTIVE)
    clusters = sorted(set(view.applied.config.region(scope.scope_id).clusters) - {active})
    held = brake.held(clusters)
    return [_standing(view, name, held.get(name, ""), now) for name in clusters]


def _standing(view: View, cluster_id: str, held: str, now: float) -> Standing:
    config, found = view.applied.config, view.assessments.get(cluster_id)
    role = view.scope.desired.roles.get(cluster_id, Role.STANDBY)
    if role in FAILED:
        return Standing(cluster_id, f"{cluster_id} is {role}")
    if role is Role.CANARY:
        return Standing(cluster_id, f"{cluster_id} serves a version on trial")
    fresh = found is not None and now - found.assessed_at <= config.detection.fresh_seconds
    if fresh and found is not None and found.verdict is Verdict.UNHEALTHY:
        return Standing(cluster_id, f"the watch found {cluster_id} {found.verdict}: {found.reason}")
    nodes, rules = view.nodes.get(cluster_id), config.failover
    why_not = node_proof.node_limitation(nodes, rules.node_report_seconds, now) if rules.require_node_report else None
    reported_at = nodes.reported_at if nodes is not None else None
    reported = reported_at is not None and now - reported_at <= rules.node_report_seconds
    if why_not and reported:
        return Standing(cluster_id, f"{cluster_id}: {why_not}")
    if not fresh or found is None or found.verdict is Verdict.UNKNOWN:
        return Standing(cluster_id, f"nobody has judged {cluster_id} of late", known=False)
    if why_not:
        return Standing(cluster_id, f"{cluster_id}: {why_not}", known=False)
    if held:
        return Standing(cluster_id, f"{cluster_id} is well, and {held}")
    return Standing(cluster_id)


def decide_at_once(view: View, found: Sequence[Standing]) -> Decision | None:
    """How the Region stands where that is known without asking who rebuilds it; None where that must be asked."""
    scope = view.scope
    proven = [each.cluster_id for each in found if not each.why_not]
    if proven:
        return Decision(State.STANDBY, f"{proven[0]} is proven to be a standby", tuple(proven))
    if scope.lease.holder is not None and scope.lease.purpose is Purpose.FAILOVER:
        return Decision(State.UNKNOWN, f"{scope.lease.holder} is at work, and changes roles")
    unknown = [each.why_not for each in found if not each.known]
    if unknown:
        return Decision(State.UNKNOWN, f"whether {scope.scope_id} has a standby is not known: {'; '.join(unknown)}")
    return None


def decide(scope_id: str, evidence: Sequence[Evidence], rules: RecoveryRules, brake: Brake, now: float) -> Decision:
    """How a Region stands that has no standby: who rebuilds it, or why nobody does."""
    ids = tuple(each.standing.cluster_id for each in evidence)
    none = f"{scope_id} has no standby"
    busy = [each for each in evidence if each.holder is not HolderState.ENDED and each.record.lease.holder]
    if busy:
        refused = [failed for each in busy if (failed := scaling.latest(each.failed))]
        acts = (
            *(f"{each.standing.cluster_id} is being rebuilt by {each.record.lease.holder}" for each in busy),
            *(str(failed) for failed in refused),
        )
        mends = tuple(scaling.mend(failed) for failed in refused)
        return Decision(State.REBUILDING, f"{none}: {'; '.join(acts)}", ids, (), mends, acts)
    judged = [(each, *_why(scope_id, each, rules, brake, now)) for each in evidence]
    said = [f"{each.standing.why_not}, and {why}" for each, _, why, _ in judged]
    mends = tuple(dict.fromkeys(mend for *_, mend in judged))
    causes = tuple((each.standing.cluster_id, cause) for each, cause, _, _ in judged)
    acts = tuple(f"nobody rebuilds {name}: {cause}" for name, cause in causes)
    return Decision(State.LOST, f"{none}: {'; '.join(said)}", ids, causes, mends, acts)


def _why(scope_id: str, evidence: Evidence, rules: RecoveryRules, brake: Brake, now: float) -> tuple[Cause, str, str]:
    """The cause that nobody rebuilds it, in words, and the mend."""
    record, name = evidence.record, evidence.standing.cluster_id
    if why_not := brake.why_not(scope_id, name):
        return Cause.SWITCH, f"nothing is changed: {why_not}", "set the switch to run (set-switch function)."
    failed = scaling.latest(evidence.failed)
    if failed is not None:
        return _CAUSES[failed.refusal], str(failed), scaling.mend(failed)
    if not rules.automatic:
        why = "recovery.automatic is false: nothing begins by itself"
        return Cause.BY_HAND, why, f"start cluster_recovery for {name} (statemachines/examples has its input)."
    hand = f"mend {name} by hand, then start cluster_recovery or invoke the readmit-cluster function."
    last = f": {record.failure}" if record.failure else ""
    if record.attempts and (spent := _spent(record, rules, now)):
        return Cause.SPENT, f"{spent}{last}", f"{hand} The budgets are FleetConfig's, under recovery."
    if record.attempts:
        wait = f"; the next may begin in {record.not_before - now:.0f} s" if record.not_before > now else ""
        return Cause.FAILED, f"{record.attempts} recoveries did not mend it{last}{wait}", hand
    unasked = f" ({evidence.unasked})" if evidence.unasked else ""
    return Cause.NOT_BEGUN, f"no recovery is at work: {evidence.said or 'none has begun yet'}{unasked}", hand


def _spent(record: RecoveryRecord, rules: RecoveryRules, now: float) -> str:
    """Which budget is used up, in words; empty where none is."""
    day = [remedy for remedy in record.remedies if now - remedy.at < DAY_SECONDS]
    replaced = sum(remedy.rung is Action.REPLACE for remedy in day)
    if replaced and replaced >= rules.replacements_per_day:
        return f"{replaced} replacements within a day are all that recovery.replacements_per_day allows"
    node, most = max(Counter(remedy.instance_id for remedy in day).items(), key=lambda found: found[1], default=("", 0))
    if most >= rules.remedies_per_day:
        return f"{node} had {most} remedies within a day, which are all that recovery.remedies_per_day allows"
    return ""


def follow(view: View, decision: Decision, known: Incident | None, now: float) -> IncidentDecision | None:
    """What the incident of this loss comes to; None where nothing changes. One loss is one incident."""
    if decision.state is State.UNKNOWN:
        if known is None or known.well_since is None:
            return None
        return IncidentDecision(Change.RELAPSED, replace(known, well_since=None), decision.reason)
    if decision.state is State.STANDBY:
        if known is None:
            return None
        if known.well_since is None:
            return IncidentDecision(Change.WELL, replace(known, well_since=now), decision.reason)
        if now - known.well_since < CLOSE_SECONDS:
            return None
        return IncidentDecision(Change.CLOSED, replace(known, closed_at=now), decision.reason)
    if known is None:
        return IncidentDecision(Change.OPENED, _opened(view, decision, now), decision.reason)
    noted = replace(known, well_since=None)
    for act in decision.acts:
        noted = noted.with_act(now, act)
    if noted == known:
        return None
    return IncidentDecision(Change.RELAPSED if known.well_since else Change.NOTED, noted, decision.reason)


def _opened(view: View, decision: Decision, now: float) -> Incident:
    scope = view.scope
    incident = Incident(
        incident_id=f"{scope.scope_id}-no-standby-v{scope.desired.version}",
        scope_id=scope.scope_id,
        cluster_id=", ".join(decision.cluster_ids),
        cause=decision.reason,
        opened_at=now,
        detected_at=now,
        affects_users=False,
        kind=Kind.REDUNDANCY,
    )
    for act in decision.acts:
        incident = incident.with_act(now, act)
    return incident
