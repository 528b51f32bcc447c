"""The Regions' record and their heartbeats, in RegionTable.

| pk | sk | item |
|---|---|---|
| FLEET | REGIONS | the Region lease, what is condemned, where users are sent; one query reads it and the switches |
| BEATS | <region> | the last heartbeat of a Region |
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import boto3

from standfast.aws.calls import config
from standfast.aws.items import SCHEMA
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import ConflictError, FencedError, ThrottledError
from standfast.region_ports import Condemnation, Heartbeat, RegionLease, RegionPurpose, RegionRecord
from standfast.region_record import rank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

FLEET, REGIONS, BEATS = "FLEET", "REGIONS", "BEATS"
WRITE_ATTEMPTS = 3
_HELD = "#token = :token AND attribute_exists(holder)"
_RESERVED = ("before", "rank", "schema", "token")
"""Words of DynamoDB's own among the attributes: they go by a name with #."""


class RegionStates(Table):
    """RegionStore and HeartbeatStore on DynamoDB."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=1)))

    # RegionStore

    def read_regions(self) -> RegionRecord:
        return record_from_item(self._get(FLEET, REGIONS))

    def glance_at_regions(self) -> RegionRecord:
        return record_from_item(self._get(FLEET, REGIONS, consistent=False))

    def grant(self, *, seen: RegionLease, lease: RegionLease, now: float) -> None:
        free = "attribute_not_exists(holder) OR expires_at <= :now OR #rank < :rank"
        known = "#token = :seen" if seen.token else "(attribute_not_exists(#token) OR #token = :seen)"
        stood = self._change(
            "SET #schema = :schema, #token = :token, holder = :holder, purpose = :purpose, #rank = :rank, "
            "acquired_at = :acquired, expires_at = :expires",
            {
                ":schema": SCHEMA,
                ":seen": seen.token,
                ":now": now,
                ":token": lease.token,
                ":holder": lease.holder,
                ":purpose": str(lease.purpose),
                ":rank": rank(lease.purpose),
                ":acquired": lease.acquired_at,
                ":expires": lease.expires_at,
            },
            condition=f"{known} AND ({free})",
        )
        if stood is not None:
            raise ConflictError(f"the Region lease is at token {stood.get('token', 0)}, or was renewed; once more")

    def renew(self, *, token: int, expires_at: float) -> None:
        values = {":token": token, ":expires": expires_at}
        self._fenced(self._change("SET expires_at = :expires", values, condition=_HELD), token)

    def release(self, *, token: int, attempts: int, not_before: float) -> None:
        stood = self._change(
            "SET attempts = :attempts, not_before = :not_before REMOVE holder, purpose, #rank",
            {":token": token, ":attempts": attempts, ":not_before": not_before},
            condition="#token = :token",
        )
        self._fenced(stood, token)

    def write_regions(self, record: RegionRecord, *, token: int, seen_version: int) -> None:
        version = "version = :seen" if seen_version else "(attribute_not_exists(version) OR version = :seen)"
        before = None if record.before is None else {name: dict(each) for name, each in record.before.items()}
        stood = self._change(
            "SET version = :version, written_by = :token, condemned = :condemned, weights = :weights, "
            "#before = :before, reason = :reason, updated_at = :updated, returned = :returned",
            {
                ":token": token,
                ":seen": seen_version,
                ":version": record.version,
                ":condemned": {name: asdict(each) for name, each in record.condemned.items()},
                ":weights": {name: dict(each) for name, each in record.weights.items()},
                ":before": before,
                ":reason": record.reason,
                ":updated": record.updated_at,
                ":returned": dict(record.returned),
            },
            condition=f"{_HELD} AND {version}",
        )
        if stood is None:
            return
        if stood.get("token") == token and stood.get("holder"):
            raise ConflictError(f"version {seen_version} of the Regions' record was superseded; once more")
        self._fenced(stood, token)

    def confirm(self, region: str, *, incident_id: str, valid_until: float, now: float) -> bool:
        stood = self._change(
            "SET condemned.#region.valid_until = :until",
            {":until": valid_until, ":incident": incident_id, ":now": now},
            condition="condemned.#region.incident_id = :incident AND condemned.#region.valid_until > :now",
            names={"#region": region},
        )
        return stood is None

    # HeartbeatStore

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        _again(lambda: self._put(BEATS, heartbeat.region, asdict(heartbeat)))

    def heartbeats(self) -> Sequence[Heartbeat]:
        return [heartbeat_from_item(item) for item in self._query(BEATS, consistent=False)]

    def _change(
        self, expression: str, values: Mapping[str, object], *, condition: str, names: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Update the record. None when written, else the item as it stood, empty where there is none."""
        known = {f"#{name}": name for name in _RESERVED if f"#{name}" in f"{expression} {condition}"}
        found = {**known, **(names or {})}
        return _again(lambda: self._update(FLEET, REGIONS, expression, values, condition=condition, names=found))

    @staticmethod
    def _fenced(stood: Mapping[str, Any] | None, token: int) -> None:
        if stood is not None:
            raise FencedError(f"token {token} of the Region lease is stale; it is at token {stood.get('token', 0)}")


T = TypeVar("T")


def _again(write: Callable[[], T]) -> T:
    """Another Region that wrote the item at the same moment is no refusal: once more."""
    for _ in range(WRITE_ATTEMPTS - 1):
        with suppress(ThrottledError):
            return write()
    return write()


def record_from_item(item: Mapping[str, Any] | None) -> RegionRecord:
    """The record of a REGIONS item; an empty one where there is none. Raises CorruptStateError."""
    if item is None:
        return RegionRecord()
    with reading(REGIONS):
        holder, before = item.get("holder"), item.get("before")
        return RegionRecord(
            lease=RegionLease(
                token=int(item["token"]),
                holder=None if holder is None else str(holder),
                purpose=None if holder is None else RegionPurpose(item["purpose"]),
                acquired_at=float(item["acquired_at"]),
                expires_at=float(item["expires_at"]),
            ),
            version=int(item.get("version", 0)),
            written_by=int(item.get("written_by", 0)),
            condemned={name: _condemnation(each) for name, each in item.get("condemned", {}).items()},
            weights=_weights(item.get("weights", {})),
            before=None if before is None else _weights(before),
            reason=str(item.get("reason", "")),
            updated_at=float(item.get("updated_at", 0.0)),
            attempts=int(item.get("attempts", 0)),
            not_before=float(item.get("not_before", 0.0)),
            returned={name: float(at) for name, at in item.get("returned", {}).items()},
        )


def heartbeat_from_item(item: Mapping[str, Any]) -> Heartbeat:
    """The heartbeat of a BEATS item. Raises CorruptStateError."""
    with reading(f"{BEATS} {item.get('region')}"):
        return Heartbeat(
            region=str(item["region"]),
            beat_at=float(item["beat_at"]),
            serving=bool(item["serving"]),
            says=str(item["says"]),
            mending=str(item["mending"]),
            requests=None if item["requests"] is None else int(item["requests"]),
            room=None if item["room"] is None else int(item["room"]),
            verdict_url=str(item["verdict_url"]),
            saturated=str(item.get("saturated", "")),  # not in items of earlier versions
        )


def _condemnation(item: Mapping[str, Any]) -> Condemnation:
    return Condemnation(
        region=str(item["region"]),
        condemned_by=tuple(item["condemned_by"]),
        reason=str(item["reason"]),
        incident_id=str(item["incident_id"]),
        condemned_at=float(item["condemned_at"]),
        valid_until=float(item["valid_until"]),
        token=int(item["token"]),
    )


def _weights(item: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    return {name: {to: int(weight) for to, weight in each.items()} for name, each in item.items()}
