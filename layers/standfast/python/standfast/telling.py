"""Tell somebody once of each outcome of an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency
from standfast.ports import Incident

if TYPE_CHECKING:
    from standfast.ports import IncidentStore, Messenger


def tell(
    announcement: Announcement,
    *,
    incident_id: str,
    scope_id: str,
    failed_cluster_id: str,
    incidents: IncidentStore,
    messenger: Messenger,
    now: float,
) -> bool:
    """Page or notify, put the event on the bus, and record the outcome. False when it was told already.

    The message goes out before the record: a crash between the two repeats a page, never loses one.
    """
    if incidents.outcome(incident_id) == announcement.outcome:
        return False
    send = messenger.page if announcement.urgency is Urgency.PAGE else messenger.notice
    send(announcement.subject, announcement.text)
    detail = {
        "incident_id": incident_id,
        "scope_id": scope_id,
        "failed_cluster_id": failed_cluster_id,
        "outcome": announcement.outcome,
        "text": announcement.text,
    }
    messenger.event(announcement.detail_type, detail)
    incidents.record(Incident(incident_id, scope_id, failed_cluster_id, announcement.text, announcement.outcome, now))
    return True
