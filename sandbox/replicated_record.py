"""The Regions' record as a strongly consistent global table keeps it, in memory, under partitions.

What AWS documents of it ("How DynamoDB global tables work", developer guide): a write, and a strongly consistent read,
needs one other Region; a Region that reaches none reads eventually, what it knew last. Beside that, an answer may be
lost after its write was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from standfast.errors import ConflictError, FencedError, UnavailableError
from standfast.region_ports import Heartbeat, RegionLease, RegionRecord
from standfast.region_record import rank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from standfast.stores import Sight


@dataclass
class _Shared:
    """What the table holds: the record, and unfenced beside it what each Region wrote of itself and saw."""

    record: RegionRecord = field(default_factory=RegionRecord)
    sights: dict[tuple[str, str], Sight] = field(default_factory=dict)
    beats: dict[str, Heartbeat] = field(default_factory=dict)

    def copy(self) -> _Shared:
        return _Shared(self.record, dict(self.sights), dict(self.beats))


class ReplicatedRecord:
    """One table of all Regions. `loses` says whether an answer is lost after its write."""

    def __init__(self, loses: Callable[[], bool] = lambda: False) -> None:
        self.shared = _Shared()
        self.loses = loses
        self.grants: dict[int, str] = {}
        """Fencing token -> who holds or held the lease under it."""
        self.stale_writes = 0
        """Changes of what is desired that were made under a token that is not the lease's: must stay zero."""
        self._isolated: dict[str, _Shared] = {}

    def isolate(self, region: str) -> None:
        """Cut a Region off from all others: it keeps what it knows now."""
        self._isolated.setdefault(region, self.shared.copy())

    def rejoin(self, region: str) -> None:
        """Join it again."""
        self._isolated.pop(region, None)

    def at(self, region: str) -> RecordAt:
        """The table as a Region reaches it."""
        return RecordAt(self, region)

    def known_at(self, region: str) -> _Shared:
        """What a Region reads eventually."""
        return self._isolated.get(region, self.shared)

    def strongly(self, region: str) -> _Shared:
        """What is read and written with the others. Raises UnavailableError in a Region that is cut off."""
        if region in self._isolated:
            raise UnavailableError(f"{region} reaches no other Region of this global table")
        return self.shared

    def answered(self) -> None:
        """After a write: its answer may be lost."""
        if self.loses():
            raise UnavailableError("the answer was lost after the write")


class RecordAt:
    """RegionStore, SightStore and HeartbeatStore at one Region."""

    def __init__(self, table: ReplicatedRecord, region: str) -> None:
        self._table = table
        self._region = region

    # RegionStore

    def read_regions(self) -> RegionRecord:
        return self._table.strongly(self._region).record

    def glance_at_regions(self) -> RegionRecord:
        return self._table.known_at(self._region).record

    def grant(self, *, seen: RegionLease, lease: RegionLease, now: float) -> None:
        shared = self._table.strongly(self._region)
        held = shared.record.lease
        free = held.holder is None or held.expires_at <= now or rank(held.purpose) < rank(lease.purpose)
        if held.token != seen.token or not free:
            raise ConflictError("the lease changed hands, or was renewed")
        shared.record = replace(shared.record, lease=lease)
        self._table.grants[lease.token] = str(lease.holder)
        self._table.answered()

    def renew(self, *, token: int, expires_at: float) -> None:
        shared = self._held(token)
        shared.record = replace(shared.record, lease=replace(shared.record.lease, expires_at=expires_at))
        self._table.answered()

    def release(self, *, token: int, attempts: int, not_before: float) -> None:
        shared = self._table.strongly(self._region)
        lease = shared.record.lease
        if lease.token != token:
            raise FencedError(f"token {token} is stale, the lease is at token {lease.token}")
        free = replace(lease, holder=None, purpose=None)
        shared.record = replace(shared.record, lease=free, attempts=attempts, not_before=not_before)
        self._table.answered()

    def write_regions(self, record: RegionRecord, *, token: int, seen_version: int) -> None:
        shared = self._held(token)
        if shared.record.version != seen_version:
            raise ConflictError(f"version {seen_version} was superseded")
        standing = shared.record
        self._table.stale_writes += record.written_by != standing.lease.token
        kept = {"lease": standing.lease, "attempts": standing.attempts, "not_before": standing.not_before}
        shared.record = replace(record, **kept)  # type: ignore[arg-type]  # as DynamoDB does: named attributes only
        self._table.answered()

    def confirm(self, region: str, *, incident_id: str, valid_until: float, now: float) -> bool:
        shared = self._table.strongly(self._region)
        each = shared.record.condemned.get(region)
        if each is None or each.incident_id != incident_id or not each.holds(now):
            return False
        fresh: Mapping[str, object] = {**shared.record.condemned, region: replace(each, valid_until=valid_until)}
        shared.record = replace(shared.record, condemned=fresh)  # type: ignore[arg-type]
        self._table.answered()
        return True

    # SightStore

    def write_sight(self, sight: Sight) -> None:
        self._table.strongly(self._region).sights[sight.vantage, sight.region] = sight

    def sights(self) -> Sequence[Sight]:
        return list(self._table.known_at(self._region).sights.values())

    # HeartbeatStore

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        self._table.strongly(self._region).beats[heartbeat.region] = heartbeat

    def heartbeats(self) -> Sequence[Heartbeat]:
        return list(self._table.known_at(self._region).beats.values())

    def _held(self, token: int) -> _Shared:
        shared = self._table.strongly(self._region)
        lease = shared.record.lease
        if lease.token != token or lease.holder is None:
            raise FencedError(f"token {token} is stale, the lease is at token {lease.token}")
        return shared
