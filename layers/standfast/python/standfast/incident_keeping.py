"""Keeping the incidents of one scope: opened and closed every few seconds, and amended by whoever acts on them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from standfast import incidents
from standfast.errors import ConflictError, StandfastError
from standfast.incidents import Change, Incident, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from standfast.incidents import IncidentDecision
    from standfast.ports import Messenger, Metrics
    from standfast.steps import DrainStep, GiveUpStep, Plan
    from standfast.stores import IncidentLog, ViewStore

AMEND_ROUNDS = 3
"""How often an amendment reads anew when the keeper wrote between its read and its write."""
_EVENTS = {Change.OPENED: "IncidentOpened", Change.CLOSED: "IncidentClosed"}

logger = logging.getLogger("standfast.incidents")


@dataclass(frozen=True, slots=True)
class IncidentKeeper:
    """One scope with its ports. `look` may be repeated, and several may run at once."""

    scope_id: str
    views: ViewStore
    log: IncidentLog
    messenger: Messenger
    metrics: Metrics

    def look(self, now: float) -> str:
        """Open, follow and close. Returns what changed in a sentence, empty where nothing did."""
        decisions = incidents.decide(self.views.view(), self.log.open_incidents(), now)
        return "".join(f"; {self.write(decision, now)}" for decision in decisions)

    def write(self, decision: IncidentDecision, now: float) -> str:
        """Write what was decided of one incident, and tell that it was opened or closed. Returns it in a sentence."""
        incident = decision.incident
        try:
            self.log.write_incident(incident)
        except ConflictError:
            return f"incident {incident.incident_id} was written by somebody else"
        redundant = incident.kind is Kind.REDUNDANCY
        if decision.change in _EVENTS:
            detail = {
                "incident_id": incident.incident_id,
                "kind": str(incident.kind),
                "scope_id": incident.scope_id,
                "cluster_id": incident.cluster_id,
                "affects_users": incident.affects_users,
                "reason": decision.reason,
                "seconds": incident.durations(),
            }
            self.messenger.event(_EVENTS[decision.change], detail)
        if decision.change is Change.CLOSED:
            of = f"the incident of {incident.cluster_id} is over"
            subject = f"{self.scope_id} has a standby again" if redundant else f"{self.scope_id}: {of}"
            self.messenger.notice(subject, f"{incidents.summary(incident)}\nIncident: {incident.incident_id}")
        if decision.change is Change.CLOSED and not redundant:  # the figures are those of failures
            self.metrics.put({f"SecondsTo{name.title()}": took for name, took in incident.durations().items()}, now)
        return f"incident {incident.incident_id} {decision.change}: {decision.reason}"


def amend(log: IncidentLog, plan: Plan, change: Callable[[Incident], Incident]) -> None:
    """Write down what an execution did about a failure; opens the incident where the keeper has not yet.

    Never raises: the record must not be what keeps people from being told.
    """
    try:
        for _ in range(AMEND_ROUNDS):
            failures = [incident for incident in log.open_incidents() if incident.kind is Kind.FAILURE]
            known = [incident for incident in failures if incident.cluster_id == plan.failed_cluster_id]
            try:
                log.write_incident(change(known[0] if known else _begun(plan)))
            except ConflictError:
                continue
            return
        logger.warning(
            "incident %s is written by others all the time; what was done stands in the log", plan.incident_id
        )
    except StandfastError:
        logger.exception("the incident %s could not be amended", plan.incident_id)


def moved(step: DrainStep, now: float) -> Callable[[Incident], Incident]:
    """The traffic has moved and is served."""

    def change(incident: Incident) -> Incident:
        chosen = step.selection.cluster_id
        known = replace(
            incident,
            decided_at=step.decided_at or None,
            moved_at=step.shift.shifted_at,
            drained_at=step.drain.at if step.drain and step.drain.drained else None,
        )
        known = known.with_act(step.shift.shifted_at, f"all traffic went to {chosen}, by {step.execution_arn}")
        if step.break_glass:
            known = known.with_act(step.decided_at, step.break_glass)
        return known.with_act(now, f"{incident.cluster_id} is quarantined")

    return change


def held_back(step: Plan, now: float) -> Callable[[Incident], Incident]:
    """Nothing was changed, and why."""

    def change(incident: Incident) -> Incident:
        known = replace(incident, decided_at=step.decided_at or None)
        return known.with_act(now, f"nothing was changed: {step.held_back}")

    return change


def gave_up(step: GiveUpStep, why: str, now: float) -> Callable[[Incident], Incident]:
    """A failover did not succeed."""

    def change(incident: Incident) -> Incident:
        known = replace(incident, decided_at=incident.decided_at or step.decided_at or None)
        if step.serving is not None and step.shift is not None:
            known = replace(known, moved_at=step.shift.shifted_at)
        return known.with_act(now, f"the failover {step.execution_arn} did not succeed: {why}")

    return change


def _begun(plan: Plan) -> Incident:
    return Incident(
        incident_id=plan.incident_id,
        scope_id=plan.scope_id,
        cluster_id=plan.failed_cluster_id,
        cause=plan.reason,
        opened_at=plan.failed_since,
        detected_at=plan.detected_at,
        affects_users=True,
    )
