"""Tell somebody once of each outcome of an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency
from standfast.stores import Incident

if TYPE_CHECKING:
    from standfast.ports import Messenger
    from standfast.stores import IncidentStore


REPEAT_SECONDS = 3600.0
"""A page is sent again when it still says the same an hour later: it may be another failure of the same kind."""


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
    since = now - REPEAT_SECONDS if announcement.urgency is Urgency.PAGE else 0.0
    if incidents.outcome(incident_id, since=since) == announcement.outcome:
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
