"""Whether overload is shed, how much of it, and what people are told of it. Pure.

To shed is to answer a share of the requests with 503 and Retry-After, so that a saturated cluster serves the others in
time. The share is the weight of `shed` in desired weights; the clusters' own weights stay as they are. A healthy spare
is no reason to leave a saturated cluster: it might saturate as well, and then the next.

Where FleetConfig says what is of low priority, that is shed first, up to all of it; only then a share of the rest. Last
shed is first let back in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, at
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.rule_weights import ALL, low_share, share, with_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.health import Assessment
    from standfast.shedding_rules import LowPriority, Shedding
    from standfast.stores import ScopeRecord
    from standfast.traffic import Weights


def is_saturated(assessment: Assessment) -> bool:
    """Whether a cluster is: at least half of its replicas work without a pause and answer too late."""
    return assessment.saturated > 0 and 2 * assessment.saturated >= assessment.expected


class ShedAction(StrEnum):
    """What to do about the share that is shed."""

    NONE = "none"
    RAISE = "raise"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class ShedDecision:
    """What to do, and why in a sentence. `weights` are those to be desired, `percent` is their shed share.

    `low_percent` is the share that is shed of low priority. `at_maximum_since` is set while a cluster is saturated
    although as much as may be is shed.
    """

    action: ShedAction
    reason: str
    weights: Weights
    percent: int
    cluster_id: str = ""
    at_maximum_since: float | None = None
    low_percent: int = 0


def decide_shed(
    record: ScopeRecord,
    assessments: Mapping[str, Assessment],
    limits: Shedding,
    fresh_seconds: float,
    now: float,
) -> ShedDecision:
    """Shed one step more, one step less, or as much as now. Times are seconds since the epoch.

    Two steps are apart by `raise_seconds` up and `calm_seconds` down, counted from the last change of desired state.
    Where every replica answers too late a step up is twice as high: until it is enough nobody is served in time, and
    who is shed at least knows when to come back. A single late answer keeps the share where it is. A missing or old
    assessment moves nothing; what is dead is the failover's. A step is taken only while the lease is free: whoever
    holds it moves the traffic.
    """
    desired = record.desired
    shed, low, since_change = share(desired.weights), low_share(desired.weights), now - desired.updated_at
    active = desired.cluster_with(Role.ACTIVE) or ""
    assessment = assessments.get(active)

    def stay(reason: str, at_maximum_since: float | None = None) -> ShedDecision:
        said = f"{in_short(shed, low)} is shed; {reason}"
        return ShedDecision(ShedAction.NONE, said, desired.weights, shed, active, at_maximum_since, low)

    def step(action: ShedAction, percent: int, low_percent: int, reason: str) -> ShedDecision:
        weights = with_share(desired.weights, percent, low_percent)
        return ShedDecision(action, reason, weights, percent, active, low_percent=low_percent)

    if assessment is None:
        return stay("no cluster is active and assessed")
    if hindrance := _hindrance(record, assessment, fresh_seconds, now):
        return stay(hindrance)
    if is_saturated(assessment):
        busy = f"{active} is saturated: {assessment.saturated} of {assessment.expected} replicas answer too late"
        steps = 2 if assessment.saturated >= assessment.expected else 1
        if (more := _more(shed, low, limits, steps)) is None:
            return stay(f"{busy}, and this is the most that may be shed", desired.updated_at)
        if since_change < limits.raise_seconds:
            return stay(f"{busy}; the last change is {since_change:.0f} s ago")
        return step(ShedAction.RAISE, *more, busy)
    if not shed and not low:
        return stay(f"{active} is not saturated")
    if assessment.late or since_change < limits.calm_seconds:
        late = f"{assessment.late} of {assessment.expected} replicas answered late the last time"
        return stay(f"{late}; the last change is {since_change:.0f} s ago")
    return step(ShedAction.LOWER, *_less(shed, low, limits), f"{active} is not saturated any more")


def _more(shed: int, low: int, limits: Shedding, steps: int) -> tuple[int, int] | None:
    """The shares of everything and of low priority so many steps up, None where there is none: low priority first."""
    if limits.low_priority is not None and low < ALL:
        return shed, min(low + steps * limits.low_priority.step_percent, ALL)
    if shed < limits.maximum_percent:
        return min(shed + steps * limits.step_percent, limits.maximum_percent), low
    return None


def _less(shed: int, low: int, limits: Shedding) -> tuple[int, int]:
    """The same one step down: low priority last, and all of it where FleetConfig does not shed it any more."""
    if shed:
        return max(shed - limits.step_percent, 0), low
    return 0, max(low - (limits.low_priority.step_percent if limits.low_priority else ALL), 0)


def _hindrance(record: ScopeRecord, assessment: Assessment, fresh_seconds: float, now: float) -> str | None:
    """Why nothing may be judged or changed now, or None."""
    age = now - assessment.assessed_at
    if age > fresh_seconds:
        return f"the last assessment of {assessment.cluster_id} is {age:.0f} s old"
    if assessment.verdict in (Verdict.UNHEALTHY, Verdict.UNKNOWN):
        return f"{assessment.cluster_id} is {assessment.verdict}, which shedding does not mend"
    if record.lease.holder is not None:
        return f"{record.lease.holder} holds the lease"
    return None


def in_short(percent: int, low_percent: int) -> str:
    """How much is shed, of everything or of low priority and of the rest."""
    return f"{low_percent} % of low priority and {percent} % of the rest" if low_percent else f"{percent} %"


def _requests(percent: int, low_percent: int, low_priority: LowPriority | None) -> str:
    """Which requests are shed, for people."""
    if not low_percent:
        return f"{percent} % of the requests"
    marked = f"the requests with {low_priority}" if low_priority else "the requests of low priority"
    of_low = f"all {marked}" if low_percent >= ALL else f"{low_percent} % of {marked}"
    return f"{of_low}, and {percent} % of the others," if percent else of_low


def told_of_step(
    scope_id: str, decision: ShedDecision, before: Weights, low_priority: LowPriority | None
) -> Announcement | None:
    """What is said of a step that was taken: that shedding begins or ends, and that it is no more of low priority only.

    Steps between are in desired state's reason. `before` are the desired weights before it.
    """
    cluster_id = decision.cluster_id
    if decision.percent == 0 and decision.low_percent == 0:
        text = f"{decision.reason}. Every request is answered by a cluster again. Nothing is left to do."
        subject = f"{scope_id}: overload is no longer shed"
        return Announcement(Urgency.NOTICE, subject, text, "SheddingEnded", f"not shed: {cluster_id}")
    if share(before) or (not decision.percent and low_share(before)):
        return None
    requests = _requests(decision.percent, decision.low_percent, low_priority)
    only_low = " of low priority" if not decision.percent else ""
    lines = [
        f"{decision.reason}.",
        f"What was done: {requests} are answered 503 with Retry-After; more, while it lasts.",
        *(["Everything else is served."] if only_low else []),
        f"The traffic stays on {cluster_id}: moving it would saturate the next one.",
        "What is left to do: add capacity, or wait for the load to fall; shedding then ends by itself.",
    ]
    subject = f"{scope_id}: {cluster_id} is saturated, overload{only_low} is shed"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "SheddingStarted", f"shed{only_low}: {cluster_id}")


def told_of_maximum(
    scope_id: str, decision: ShedDecision, since: float, low_priority: LowPriority | None = None
) -> Announcement:
    """As much as may be is shed, for minutes, and the cluster is saturated still."""
    requests = _requests(decision.percent, decision.low_percent, low_priority)
    lines = [
        f"{decision.reason}, since {at(since)}.",
        f"{requests[:1].upper()}{requests[1:]} are answered 503 with Retry-After.",
        f"The traffic stays on {decision.cluster_id}: saturated is no reason to leave.",
        "What is left to do: add capacity now, mend a failed cluster and readmit it, or move users to another Region.",
    ]
    subject = f"{scope_id}: {decision.cluster_id} is saturated although {decision.percent} % is shed"
    outcome = f"shed at the most: {decision.cluster_id}"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "SheddingAtMaximum", outcome)


def told_of_held_back(scope_id: str, decision: ShedDecision, stays: Weights, held_back: str) -> Announcement:
    """A step is called for and not taken, for the reason given. `stays` are the weights as they stay."""
    shed, low = share(stays), low_share(stays)
    requests = _requests(shed, low, None)
    lines = [f"{decision.reason}.", f"{requests[:1].upper()}{requests[1:]} are shed as before: {held_back}."]
    if decision.action is ShedAction.RAISE:
        lines.append(f"Expect queueing; the traffic stays on {decision.cluster_id}.")
        lines.append("What is left to do: add capacity, or wait for the load to fall.")
        subject = f"{scope_id}: {decision.cluster_id} is saturated, nothing is done"
    else:
        lines.append("What is left to do: set the switch to run, or lower the weight of the shedding group yourself.")
        subject = f"{scope_id}: {decision.cluster_id} is not saturated, {in_short(shed, low)} is shed still"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "SheddingHeldBack", f"held back: {held_back}")
