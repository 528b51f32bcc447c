"""What a failover that did not succeed leaves in order: the roles after a proven move, and the lease."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from standfast import failover, traffic
from standfast.errors import FencedError, StandfastError

if TYPE_CHECKING:
    from standfast.steps import GiveUpStep
    from standfast.stores import ConfigStore, ScopeStore

logger = logging.getLogger("standfast.give_up")


def record_roles(step: GiveUpStep, scopes: ScopeStore, now: float) -> None:
    """The move was proven before something failed: who serves and who failed is recorded all the same.

    Else the state would end half-way, with the traffic on a standby. What cannot be written is logged and left to the
    reconciler, which goes on from there. May be repeated.
    """
    if step.serving is None or step.selection is None:
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


def give_back(step: GiveUpStep, scopes: ScopeStore, configs: ConfigStore, now: float) -> float | None:
    """Release the lease. Returns when the next attempt may start; None when the lease was not ours any more.

    A planned move that did not succeed delays no failover: it counts as no attempt. May be repeated.
    """
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
