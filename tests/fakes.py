"""Stand-ins for the ports, with the ports' own semantics: conditions, atomicity, errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from standfast.errors import ConflictError, FencedError, UnknownScopeError
from standfast.fleet import Entry
from standfast.lease import HolderState, Lease, released
from standfast.ports import ScopeRecord
from standfast.traffic import Desired, Weights


class FakeScopeStore:
    """One dictionary, one write at a time."""

    def __init__(self, *records: ScopeRecord) -> None:
        self.records = {record.scope_id: record for record in records}

    def read(self, scope_id: str) -> ScopeRecord:
        if scope_id not in self.records:
            raise UnknownScopeError(f"nothing is known of {scope_id}")
        return self.records[scope_id]

    def create(self, record: ScopeRecord) -> bool:
        if record.scope_id in self.records:
            return False
        self.records[record.scope_id] = record
        return True

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        record = self.read(scope_id)
        if (record.lease.token, record.lease.holder) != (seen.token, seen.holder):
            raise ConflictError("the lease changed hands")
        self.records[scope_id] = replace(record, lease=lease)

    def release(self, scope_id: str, *, token: int, attempts: int, not_before: float) -> None:
        record = self.read(scope_id)
        if record.lease.token != token:
            raise FencedError(f"token {token} is stale")
        self.records[scope_id] = replace(record, lease=released(record.lease), attempts=attempts, not_before=not_before)

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        record = self.read(scope_id)
        if record.lease.token != token or record.lease.holder is None:
            raise FencedError(f"token {token} is stale")
        if record.desired.version != seen_version:
            raise ConflictError(f"version {seen_version} was superseded")
        self.records[scope_id] = replace(record, desired=desired)


class FakeExecutions:
    """Executions that run until they are ended."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)
        self.silent = False
        self.started: dict[str, Mapping[str, object]] = {}

    def holder_state(self, execution_arn: str) -> HolderState:
        if self.silent:
            return HolderState.UNKNOWN
        return HolderState.RUNNING if execution_arn in self.running else HolderState.ENDED

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        if name in self.started:
            return False
        self.started[name] = payload
        return True


class FakeLoadBalancer:
    """A rule that remembers every write."""

    def __init__(self, weights: Weights) -> None:
        self.weights = dict(weights)
        self.writes: list[Weights] = []

    def read_weights(self, entry: Entry) -> Weights:
        return dict(self.weights)

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        self.writes.append(dict(weights))
        self.weights = dict(weights)
