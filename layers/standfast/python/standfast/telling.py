"""Tell somebody once of each outcome of an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency
from standfast.errors import StandfastError
from standfast.stores import Told

if TYPE_CHECKING:
    from standfast.ports import Messenger
    from standfast.stores import IncidentStore, SwitchStore


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
    switches: SwitchStore,
    now: float,
) -> bool:
    """Page or notify, put the event on the bus, and record the outcome. False when it was told already.

    A page says what the switch says, for whether Standfast goes on by itself is what its reader must know, and its
    incident, to acknowledge it by.

    The message goes out before the record: a crash between the two repeats a page, never loses one.
    """
    since = now - REPEAT_SECONDS if announcement.urgency is Urgency.PAGE else 0.0
    if incidents.outcome(incident_id, since=since) == announcement.outcome:
        return False
    text = announcement.text
    if announcement.urgency is Urgency.PAGE:
        text = f"{text}\n{_switch(scope_id, failed_cluster_id, switches)}\nIncident: {incident_id}"
        messenger.page(announcement.subject, text)
    else:
        messenger.notice(announcement.subject, text)
    detail = {
        "incident_id": incident_id,
        "scope_id": scope_id,
        "failed_cluster_id": failed_cluster_id,
        "outcome": announcement.outcome,
        "text": text,
    }
    messenger.event(announcement.detail_type, detail)
    incidents.record(Told(incident_id, scope_id, failed_cluster_id, text, announcement.outcome, now))
    return True


def send(announcement: Announcement, scope_id: str, messenger: Messenger) -> None:
    """Page or notify, and put the event on the bus, each time: for what is started on purpose or once an hour."""
    if announcement.urgency is Urgency.PAGE:
        messenger.page(announcement.subject, announcement.text)
    else:
        messenger.notice(announcement.subject, announcement.text)
    detail = {"scope_id": scope_id, "outcome": announcement.outcome, "text": announcement.text}
    messenger.event(announcement.detail_type, detail)


def _switch(scope_id: str, cluster_id: str, switches: SwitchStore) -> str:
    try:
        held = switches.glance_at_brake().of(scope_id, *([cluster_id] if cluster_id else []))
    except StandfastError as error:
        return f"What the switch says cannot be read: {error}"
    return f"The switch: {held}."
