"""GiveUp: the failover did not succeed. Give the lease back with a hold-down, and tell a person.

A planned move that did not succeed delays no failover: it counts as no attempt.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast import (
    announcements,
    bootstrap,
    evidence,
    failover,
    incident_keeping,
    move_announcements,
    telling,
    traffic,
)
from standfast.errors import FencedError, StandfastError
from standfast.fleet import parse_input
from standfast.steps import GiveUpStep

if TYPE_CHECKING:
    from standfast.stores import ConfigStore, ScopeStore

logger = logging.getLogger("standfast.give_up")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated: a lease that was given back is left alone."""
    step = parse_input(GiveUpStep, event, "the GiveUp task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    if step.may_change and step.serving is not None:
        _record_roles(step, table, now)
    retry_at = _give_back(step, table, table, now) if step.may_change else None
    if step.planned:
        announcement = move_announcements.gave_up(step, ours=retry_at is not None or not step.may_change)
    else:
        seen = evidence.gather(step.scope_id, table, bootstrap.region_table(), now)
        announcement = announcements.gave_up(step, retry_at, seen)
    told = telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.failed_cluster_id,
        incidents=table,
        messenger=bootstrap.messenger(),
        switches=bootstrap.region_table(),
        now=now,
    )
    if step.mode == "failover":
        why = announcements.cause_in_words(step.error)
        incident_keeping.amend(bootstrap.incident_log(), step, incident_keeping.gave_up(step, why, now))
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}


def _record_roles(step: GiveUpStep, scopes: ScopeStore, now: float) -> None:
    """The move was proven before something failed: who serves and who failed is recorded all the same.

    Else the state would end half-way, with the traffic on a standby. What cannot be written is left to the next
    attempt, which goes on from there.
    """
    if step.selection is None:
        return
    chosen = step.selection.cluster_id
    try:
        traffic.record_roles(
            step.scope_id,
            lambda desired: failover.roles_after(desired, step.failed_cluster_id, chosen),
            scopes,
            token=step.token,
            reason=step.reason,
            now=now,
        )
    except StandfastError:
        logger.exception("the roles after the move to %s could not be recorded", chosen)


def _give_back(step: GiveUpStep, scopes: ScopeStore, configs: ConfigStore, now: float) -> float | None:
    """Release the lease; None when it was not ours any more, else when the next attempt may start."""
    record = scopes.read(step.scope_id)
    if record.lease.token != step.token:
        return None
    if record.lease.holder is None:
        return record.not_before
    attempts, retry_at = record.attempts, record.not_before
    if not step.planned:
        attempts += 1
        hold_down = configs.read_config().config.failover.hold_down_seconds
        retry_at = now + failover.hold_down_seconds(attempts, hold_down)
    try:
        scopes.release(step.scope_id, token=step.token, attempts=attempts, not_before=retry_at)
    except FencedError:
        return None
    return retry_at
