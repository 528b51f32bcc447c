"""What a recovery did, written into the incident that it mends: each remedy, what came of it, and when all was well.

The incident of a cluster whose traffic went elsewhere is mostly closed by then, for the service is good: it is amended
all the same. A node that is mended in place, while its cluster serves, belongs to no incident: none is opened for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from standfast.errors import ConflictError, StandfastError
from standfast.incidents import Act, Kind
from standfast.recovery import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from standfast.incidents import Incident
    from standfast.recovery import Remedy
    from standfast.recovery_steps import RecoveryPlan
    from standfast.stores import IncidentLog

AMEND_ROUNDS = 3
"""How often it is read anew when somebody wrote between read and write."""
LOOKED_THROUGH = 20
"""Closed incidents of the Region, newest first: of one cluster there are few within a day."""
UNDER_WAY, HELPED = "under way", "it helped"
DID_NOT_HELP, NOT_KNOWN = "it did not help", "it is not known to have helped"

logger = logging.getLogger("standfast.incidents")


@dataclass(frozen=True, slots=True)
class Course:
    """How a recovery stands. `remedies` are those of the last day; `well` the nodes that are found well.

    `ended_at` is None while it is under way; `said`, what is said of its end; `mended`: every node is well.
    """

    remedies: Sequence[Remedy]
    well: Collection[str] = ()
    ended_at: float | None = None
    said: str = ""
    mended: bool = False


def amend(log: IncidentLog, step: RecoveryPlan, course: Course, now: float) -> None:
    """Write it down in the cluster's incident, if there is one. May be repeated.

    Never raises: the record must not be what keeps a cluster from being mended, or people from being told.
    """
    try:
        for _ in range(AMEND_ROUNDS):
            known = _incident(log, step, now)
            if known is None:
                return
            amended = amended_by(known, course)
            if amended == known:
                return
            try:
                log.amend_incident(amended)
            except ConflictError:
                continue
            return
        logger.warning("the incident of %s is written by others all the time; see its recovery", step.cluster_id)
    except StandfastError:
        logger.exception("the incident of %s could not be amended", step.cluster_id)


def amended_by(incident: Incident, course: Course) -> Incident:
    """The incident with what was done since it began. The same course twice is one."""
    own = [remedy for remedy in course.remedies if remedy.at >= incident.opened_at]
    amended = incident.with_remedies([_act(remedy, own, course) for remedy in own])
    if course.ended_at is None:
        return amended
    if course.mended and incident.mended_at is None:
        amended = replace(amended, mended_at=course.ended_at)
    return amended.with_act(course.ended_at, course.said)


def _act(remedy: Remedy, own: Sequence[Remedy], course: Course) -> Act:
    what = f"{remedy.rung} on {remedy.instance_id}: {remedy.reason}"
    if any(each.instance_id == remedy.instance_id and each.at > remedy.at for each in own):
        return Act(remedy.at, what, DID_NOT_HELP)
    if course.ended_at is None:
        return Act(remedy.at, what, UNDER_WAY)
    helped = course.mended or remedy.instance_id in course.well
    return Act(remedy.at, what, HELPED if helped else NOT_KNOWN)


def _incident(log: IncidentLog, step: RecoveryPlan, now: float) -> Incident | None:
    """The cluster's incident: the open one, else the latest of the last day that nobody has mended before."""
    opened = [each for each in log.open_incidents() if _is_its_failure(each, step)]
    if opened:
        return opened[0]
    closed = [each for each in log.closed_incidents(LOOKED_THROUGH) if _is_its_failure(each, step)]
    if not closed or now - closed[0].opened_at > DAY_SECONDS:
        return None
    mended_at = closed[0].mended_at
    return closed[0] if mended_at is None or mended_at >= step.began_at else None


def _is_its_failure(incident: Incident, step: RecoveryPlan) -> bool:
    """A Region without a standby is an incident too, and names the cluster."""
    return incident.kind is Kind.FAILURE and incident.cluster_id == step.cluster_id
