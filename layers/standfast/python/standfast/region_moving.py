"""Changing the record of the Regions through its port: take the lease, change under the token, keep fresh.

Every function may be repeated. Times are seconds since the epoch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

from standfast import region_record
from standfast.errors import ConflictError, FencedError, StandfastError
from standfast.region_ports import REFRESH_SECONDS, VALID_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from standfast.region_ports import RegionLease, RegionPurpose, RegionRecord, RegionStore

Made: TypeAlias = "Callable[[RegionRecord], RegionRecord]"
"""What makes the next record of the present one. It answers the one it was given where there is nothing to write."""
ROUNDS = 5
"""How often a change reads anew when somebody else wrote between its read and its write."""

logger = logging.getLogger("standfast.region_moving")


def take(store: RegionStore, holder: str, purpose: RegionPurpose, now: float) -> RegionLease:
    """Take the Region lease, or hold it for longer where it is the claimant's. The token of a repetition is the same.

    Raises LeaseHeldError when somebody else holds it rightly, ConflictError when others keep writing first.
    """
    for _ in range(ROUNDS):
        seen = store.read_regions().lease
        lease = region_record.claim(seen, holder, purpose, now)
        try:
            if lease.token == seen.token:
                store.renew(token=lease.token, expires_at=now + region_record.LEASE_SECONDS)
            else:
                store.grant(seen=seen, lease=lease, now=now)
        except (ConflictError, FencedError):
            continue
        return lease
    raise ConflictError(f"the Region lease changed hands {ROUNDS} times while it was being taken")


def change(
    store: RegionStore, token: int, made: Made, now: float, hold_seconds: float = region_record.LEASE_SECONDS
) -> RegionRecord:
    """Write what `made` makes of the record, under the token, and hold the lease for `hold_seconds` more at least.

    `made` is asked anew when somebody else wrote between. Raises FencedError when somebody else was granted the lease,
    what `made` raises, and ConflictError.
    """
    for _ in range(ROUNDS):
        record = store.read_regions()
        if record.lease.token != token or record.lease.holder is None:
            raise FencedError(f"token {token} of the Region lease is stale; it is at token {record.lease.token}")
        store.renew(token=token, expires_at=max(record.lease.expires_at, now + hold_seconds))
        written = made(record)
        if written is record:
            return record
        try:
            store.write_regions(written, token=token, seen_version=record.version)
        except ConflictError:
            continue
        return written
    raise ConflictError(f"the record of the Regions was written by others {ROUNDS} times while it was being changed")


def hold(store: RegionStore, token: int, now: float, hold_seconds: float = region_record.LEASE_SECONDS) -> RegionRecord:
    """Hold the lease for longer, and change nothing. Raises FencedError when somebody else was granted it."""
    return change(store, token, lambda record: record, now, hold_seconds)


def give_back(store: RegionStore, token: int, *, failed: bool, retry_seconds: float, now: float) -> float | None:
    """Free the lease. Returns when the next evacuation may start; None when the lease was not ours any more.

    `failed`: an evacuation that did not succeed waits twice as long each time.
    """
    record = store.read_regions()
    if record.lease.token != token:
        return None
    if record.lease.holder is None:
        return record.not_before
    attempts = record.attempts + 1 if failed else 0
    not_before = now + retry_seconds * float(2 ** min(attempts - 1, 5)) if failed else 0.0
    try:
        store.release(token=token, attempts=attempts, not_before=not_before)
    except FencedError:
        return None
    return not_before


def keep_fresh(store: RegionStore, now: float) -> tuple[str, ...]:
    """Keep fresh what is condemned, and answer what was. Any Region that stays does it, and several may.

    Never raises: one that cannot be kept fresh lapses, and until then there are three more tries.
    """
    kept = []
    try:
        for region, each in sorted(store.glance_at_regions().condemned.items()):
            if each.holds(now) and each.valid_until - now <= VALID_SECONDS - REFRESH_SECONDS:
                until = now + VALID_SECONDS
                if store.confirm(region, incident_id=each.incident_id, valid_until=until, now=now):
                    kept.append(region)
    except StandfastError as error:
        logger.warning("what is condemned was not kept fresh, a later pass tries again: %s", error)
    return tuple(kept)
