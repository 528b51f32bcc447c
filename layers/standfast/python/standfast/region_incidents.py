"""The incident of a Region that was evacuated: open until its users are back. Kept where the execution ran."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from standfast.errors import ConflictError, StandfastError
from standfast.incidents import Incident, Kind

if TYPE_CHECKING:
    from standfast.ports import Messenger
    from standfast.region_steps import PeersStep
    from standfast.stores import IncidentLog

logger = logging.getLogger("standfast.region_incidents")


def opened(step: PeersStep, log: IncidentLog, messenger: Messenger, now: float) -> None:
    """The Region is condemned. May be repeated. Never raises: the record must not keep people from being told."""
    if step.condemn is None:
        return
    incident = Incident(
        incident_id=step.incident_id,
        scope_id=step.region,
        cluster_id=step.region,
        cause=step.reason,
        opened_at=step.failed_since,
        detected_at=step.detected_at,
        affects_users=True,
        decided_at=step.decided_at,
        moved_at=step.condemn.at,
        kind=Kind.REGION,
    ).with_act(step.condemn.at, f"{step.region} was condemned, by {step.execution_arn}")
    if any(known.incident_id == incident.incident_id for known in _open(log)):
        return
    _write(log, incident, messenger, "IncidentOpened", now)


def closed(step: PeersStep, log: IncidentLog, messenger: Messenger, now: float) -> None:
    """The Region's users are back. May be repeated. Never raises."""
    for known in _open(log):
        if known.scope_id == step.region:
            done = replace(known, well_since=now, closed_at=now)
            done = done.with_act(now, f"its users are back, by {step.execution_arn}")
            _write(log, done, messenger, "IncidentClosed", now)


def _open(log: IncidentLog) -> list[Incident]:
    try:
        return [incident for incident in log.open_incidents() if incident.kind is Kind.REGION]
    except StandfastError:
        logger.exception("the open incidents cannot be read")
        return []


def _write(log: IncidentLog, incident: Incident, messenger: Messenger, event: str, now: float) -> None:
    try:
        log.write_incident(incident)
        detail = {
            "incident_id": incident.incident_id,
            "kind": str(incident.kind),
            "scope_id": incident.scope_id,
            "affects_users": incident.affects_users,
            "reason": incident.cause,
            "seconds": incident.durations(),
            "at": now,
        }
        messenger.event(event, detail)
    except ConflictError:
        logger.info("the incident %s was written by another run of this step", incident.incident_id)
    except StandfastError:
        logger.exception("the incident %s could not be written", incident.incident_id)
