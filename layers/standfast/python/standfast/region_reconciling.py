"""What an execution of `region_failover` leaves that ended without a Catch, and records that are not as desired.

An evacuation that ended half-way needs no mending: either the Region is condemned, and is kept so, or it is not, and
the watch tries again once the lease has expired. A planned move does: users would stay where one stage had sent them.
Every function may be repeated. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import region_moving, region_record, region_shifting
from standfast.region_ports import RegionPurpose
from standfast.region_views import opinions_of

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.region_ports import RegionRecord, RegionStore, RegionSwitch
    from standfast.region_views import RegionEvidence


@dataclass(frozen=True, slots=True)
class HalfWay:
    """A planned move that nobody is at work on. `regions` are those whose users it had sent elsewhere."""

    regions: tuple[str, ...]
    restore: bool
    reason: str


def let_go(execution_arn: str, store: RegionStore, retry_seconds: float, now: float) -> None:
    """A lease whose holder ended is free at once: nobody waits for its expiry."""
    lease = store.read_regions().lease
    if lease.holder == execution_arn:
        failed = lease.purpose is RegionPurpose.EVACUATE
        region_moving.give_back(store, lease.token, failed=failed, retry_seconds=retry_seconds, now=now)


def half_way(evidence: RegionEvidence, config: FleetConfig, now: float) -> HalfWay | None:
    """Whether a planned move was left half-way, and whether what was before can be restored. Pure.

    Not to a Region that is seen to fail: then its users stay where they are, and a person is told.
    """
    record = evidence.record
    lease = record.lease
    if record.before is None or (lease.holder is not None and now < lease.expires_at):
        return None
    moved = tuple(sorted(name for name, each in record.weights.items() if record.before.get(name) != each))
    home = sorted({to for name in moved for to, weight in record.before.get(name, {name: 1}).items() if weight})
    failing = [name for name in home if opinions_of(name, evidence, config, now).failed]
    if failing:
        why = f"{' and '.join(failing)} is seen to fail, so the users of {' and '.join(moved)} stay where they are"
        return HalfWay(moved, False, why)
    return HalfWay(moved, True, f"the users of {' and '.join(moved) or 'nobody'} are sent as before")


def finish(found: HalfWay, holder: str, store: RegionStore, switch: RegionSwitch, now: float) -> RegionRecord:
    """Restore what was before, or settle what is, under a lease of its own. Raises what the ports raise."""
    lease = region_moving.take(store, holder, RegionPurpose.RETURN, now)

    def made(record: RegionRecord) -> RegionRecord:
        change = region_record.restored if found.restore else region_record.settle
        return change(record, reason=f"a planned move ended half-way: {found.reason}", now=now)

    written = region_moving.change(store, lease.token, made, now)
    if found.restore:
        for region in found.regions:
            region_shifting.apply(region, store, switch)
    region_moving.give_back(store, lease.token, failed=False, retry_seconds=0, now=now)
    return written
