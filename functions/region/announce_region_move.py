"""AnnounceRegionMove: give the lease back, keep the incident, and tell a person what was done and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import (
    bootstrap,
    bootstrap_regions,
    bootstrap_telling,
    region_announcements,
    region_incidents,
    region_moving,
)
from standfast.errors import FencedError
from standfast.fleet import parse_input
from standfast.region_record import settle
from standfast.region_steps import PeersStep

if TYPE_CHECKING:
    from standfast.announcements import Announcement


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated: a lease that was given back is left alone."""
    step = parse_input(PeersStep, event, "the AnnounceRegionMove task")
    now = bootstrap.clock().now()
    acted = step.may_change and (step.planned or (step.condemn is not None and step.condemn.condemned))
    if step.may_change:
        _let_go(step, now)
    if acted and step.mode == "evacuate":
        region_incidents.opened(step, bootstrap.incident_log(), bootstrap.messenger(), now)
    if acted and step.mode == "return":
        region_incidents.closed(step, bootstrap.incident_log(), bootstrap.messenger(), now)
    announcement = _announcement(step, acted=acted)
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.region,
        now=now,
    )
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}


def _let_go(step: PeersStep, now: float) -> None:
    """A planned move that is over leaves nothing of before to restore."""
    states = bootstrap_regions.region_states()
    record = states.read_regions()
    if record.lease.token == step.token and record.lease.holder is None:
        return
    if step.planned:
        reason = f"{step.mode} of {step.region} is done"
        region_moving.change(states, step.token, lambda record: settle(record, reason=reason, now=now), now)
    if region_moving.give_back(states, step.token, failed=False, retry_seconds=0, now=now) is None:
        raise FencedError(f"token {step.token} of the Region lease is stale: another hand went on from here")


def _announcement(step: PeersStep, *, acted: bool) -> Announcement:
    if not acted:
        return region_announcements.stood_down(step)
    return region_announcements.moved(step) if step.planned else region_announcements.evacuated(step)
