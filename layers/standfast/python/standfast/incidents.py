"""Incidents as durable intervals: opened with the first bad verdict, closed when the service is proven good. Pure.

Times are seconds since the epoch, durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast import failover
from standfast.health import Verdict
from standfast.lease import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.health import Assessment
    from standfast.stores import View

CLOSE_SECONDS = 60.0
"""The service must be good for as long before an incident is over (law 6: seconds to fail, minutes to return)."""
MOST_ACTIONS = 40
"""The latest are kept: an engine that flaps for days must not outgrow an item of 400 KB."""


class Kind(StrEnum):
    """What an incident is about."""

    FAILURE = "failure"
    REDUNDANCY = "redundancy"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done about it, in words. `outcome`: what came of it, where that is known only later."""

    at: float
    what: str
    outcome: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.outcome}" if self.outcome else self.what


@dataclass(frozen=True, slots=True)
class Incident:
    """One failure of one cluster; or, by its `kind`, one time in which a Region had no standby (see redundancy).

    `opened_at` is when the first of the failed probes began, `detected_at` when the verdict fell. `affects_users`: the
    cluster had traffic then. `well_since`: the service has been good since, None while it is not. `closed_at` is None
    while it is open; users were without service from `opened_at` to `well_since` at the most. `mended_at`: a recovery
    found every node of the cluster well, which may be long after the service was. `version` counts writes.
    """

    incident_id: str
    scope_id: str
    cluster_id: str
    cause: str
    opened_at: float
    detected_at: float
    affects_users: bool
    decided_at: float | None = None
    moved_at: float | None = None
    drained_at: float | None = None
    well_since: float | None = None
    closed_at: float | None = None
    mended_at: float | None = None
    actions: tuple[Act, ...] = ()
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    kind: Kind = Kind.FAILURE
    version: int = 0

    def with_act(self, at: float, what: str) -> Incident:
        """With one more action; the same one twice is one."""
        if any(act.what == what for act in self.actions):
            return self
        return self._with((*self.actions, Act(at, what)))

    def with_remedies(self, acts: Sequence[Act]) -> Incident:
        """With remedies and what came of each; one that is there already takes the outcome given now."""
        known = {(act.at, act.what) for act in acts}
        return self._with((*(act for act in self.actions if (act.at, act.what) not in known), *acts))

    def _with(self, acts: Sequence[Act]) -> Incident:
        return replace(self, actions=tuple(sorted(acts, key=lambda act: act.at)[-MOST_ACTIONS:]))

    def durations(self) -> dict[str, float]:
        """Seconds to detect, to decide from there, to move from there, to drain from there; to recover in all: the
        service, and to mend what failed.
        """
        steps = (
            ("detect", self.opened_at, self.detected_at),
            ("decide", self.detected_at, self.decided_at),
            ("move", self.decided_at, self.moved_at),
            ("drain", self.moved_at, self.drained_at),
            ("recover", self.opened_at, self.well_since),
            ("mend", self.opened_at, self.mended_at),
        )
        return {name: max(0.0, end - begin) for name, begin, end in steps if begin is not None and end is not None}


class Change(StrEnum):
    """What became of an incident."""

    OPENED = "opened"
    WELL = "well"
    RELAPSED = "relapsed"
    NOTED = "noted"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class IncidentDecision:
    """An incident as it should be written, and why."""

    change: Change
    incident: Incident
    reason: str


def decide(view: View, known: Sequence[Incident], now: float) -> list[IncidentDecision]:
    """What the open incidents of failures come to by what is known now. Nothing where nothing changes."""
    region = view.applied.config.region(view.scope.scope_id)
    known = [incident for incident in known if incident.kind is Kind.FAILURE]
    busy = {incident.cluster_id for incident in known}
    bad = (view.assessments[name] for name in sorted(region.clusters) if name in view.assessments and name not in busy)
    opened = [_opened(view, found) for found in bad if _is_new(view, found, now)]
    return [*opened, *(found for incident in known if (found := _follow(view, incident, now)) is not None)]


def _is_new(view: View, found: Assessment, now: float) -> bool:
    """A cluster that failed before and is being mended is no new failure."""
    role = view.scope.desired.roles.get(found.cluster_id)
    return found.verdict is Verdict.UNHEALTHY and role not in failover.FAILED and _is_fresh(view, found, now)


def _is_fresh(view: View, found: Assessment, now: float) -> bool:
    return now - found.assessed_at <= view.applied.config.detection.fresh_seconds


def _opened(view: View, found: Assessment) -> IncidentDecision:
    scope = view.scope
    incident = Incident(
        incident_id=failover.incident_id(scope.scope_id, found.cluster_id, scope.desired),
        scope_id=scope.scope_id,
        cluster_id=found.cluster_id,
        cause=found.reason,
        opened_at=found.since or found.assessed_at,
        detected_at=found.assessed_at,
        affects_users=bool(scope.desired.weights.get(found.cluster_id)),
    )
    return IncidentDecision(Change.OPENED, incident, f"{found.cluster_id} is dead: {found.reason}")


def _follow(view: View, incident: Incident, now: float) -> IncidentDecision | None:
    why_not = why_not_over(view, incident, now)
    if why_not:
        if incident.well_since is None:
            return None
        return IncidentDecision(Change.RELAPSED, replace(incident, well_since=None), why_not)
    if incident.well_since is None:
        return IncidentDecision(Change.WELL, replace(incident, well_since=now), "the service is good again")
    well = now - incident.well_since
    if well < CLOSE_SECONDS:
        return None
    return IncidentDecision(
        Change.CLOSED, replace(incident, closed_at=now), f"the service has been good for {well:.0f} s"
    )


def why_not_over(view: View, incident: Incident, now: float) -> str:
    """Why an incident is not over yet; empty when it is.

    One that users felt is over when whatever has traffic is healthy; another one, when its cluster is.
    """
    scope = view.scope
    if scope.lease.holder is not None and scope.lease.purpose is Purpose.FAILOVER:
        return f"{scope.lease.holder} is at work on it"
    if incident.affects_users:
        clusters = sorted(name for name in view.applied.config.region(scope.scope_id).clusters)
        judged = [name for name in clusters if scope.desired.weights.get(name)]
    else:
        judged = [incident.cluster_id] if scope.desired.roles.get(incident.cluster_id) is not None else []
    for name in judged:
        found = view.assessments.get(name)
        if found is None or not _is_fresh(view, found, now):
            return f"nobody has judged {name} of late"
        if found.verdict is not Verdict.HEALTHY:
            return f"{name} is {found.verdict}: {found.reason}"
    return ""


def summary(incident: Incident) -> str:
    """A closed incident in a few lines: how long, why, and what was done."""
    took = ", ".join(f"{seconds:.1f} s to {name}" for name, seconds in incident.durations().items())
    felt = "users felt it" if incident.affects_users else "it had no traffic"
    if incident.kind is Kind.REDUNDANCY:
        felt = "users did not feel it"
    return "\n".join(
        (
            f"{incident.cluster_id}: {incident.cause} ({felt}).",
            f"It took {took}." if took else "It was never judged good.",
            *(f"- {act}" for act in incident.actions),
        )
    )
