"""IncidentLog: incidents as durable intervals, in two partitions of the state table.

| pk | sk | item |
|---|---|---|
| <scope>#OPEN | <incident id> | an open incident: few, read every five seconds |
| <scope>#CLOSED | <UTC time of opening>#<incident id> | a closed one, kept for two years by the time to live |
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import ConflictError
from standfast.incidents import Act, Incident, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 2 * 365 * 86_400


class IncidentTable(Table):
    """IncidentLog on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._open, self._closed = f"{region}#OPEN", f"{region}#CLOSED"

    def open_incidents(self) -> Sequence[Incident]:
        return [_incident(item) for item in self._query(self._open)]

    def closed_incidents(self, most: int) -> Sequence[Incident]:
        return [_incident(item) for item in self._newest(self._closed, "", most)]

    def closed_since(self, moment: float) -> Sequence[Incident]:
        # All of two years are read: when one was opened does not say when it was closed, and there are few.
        found = [_incident(item) for item in self._query(self._closed)]
        return [each for each in found if each.closed_at is not None and each.closed_at >= moment]

    def write_incident(self, incident: Incident) -> None:
        seen, name = incident.version, incident.incident_id
        partition, key, item = self._written(incident)
        if incident.closed_at is not None:
            # First what is new, then away with what is old: whoever stops between the two closes it again.
            self._put(partition, key, item)
            written = self._delete_if(self._open, name, "version = :seen", {":seen": seen})
        elif seen == 0:
            written = self._put_new(partition, key, item)
        else:
            written = self._put_if(partition, key, item, "version = :seen", {":seen": seen})
        if not written:
            raise _conflict(incident)

    def amend_incident(self, incident: Incident) -> None:
        partition, key, item = self._written(incident)
        if not self._put_if(partition, key, item, "version = :seen", {":seen": incident.version}):
            raise _conflict(incident)

    def _written(self, incident: Incident) -> tuple[str, str, Mapping[str, object]]:
        """Partition, name and item of its next version."""
        item = asdict(replace(incident, version=incident.version + 1))
        if incident.closed_at is None:
            return self._open, incident.incident_id, item
        opened = datetime.fromtimestamp(incident.opened_at, UTC).isoformat(timespec="milliseconds")
        expires_at = int(incident.closed_at + KEPT_SECONDS)
        return self._closed, f"{opened}#{incident.incident_id}", {**item, "expires_at": expires_at}


def _conflict(incident: Incident) -> ConflictError:
    name, seen = incident.incident_id, incident.version
    return ConflictError(f"incident {name} is no longer at version {seen}; read it and decide again")


def _incident(item: Mapping[str, Any]) -> Incident:
    with reading(f"incident {item.get('incident_id')}"):
        return Incident(
            incident_id=item["incident_id"],
            scope_id=item["scope_id"],
            cluster_id=item["cluster_id"],
            cause=item["cause"],
            opened_at=float(item["opened_at"]),
            detected_at=float(item["detected_at"]),
            affects_users=bool(item["affects_users"]),
            decided_at=_moment(item, "decided_at"),
            moved_at=_moment(item, "moved_at"),
            drained_at=_moment(item, "drained_at"),
            well_since=_moment(item, "well_since"),
            closed_at=_moment(item, "closed_at"),
            mended_at=_moment(item, "mended_at"),
            actions=tuple(Act(float(act["at"]), act["what"], act.get("outcome", "")) for act in item["actions"]),
            acknowledged_by=item["acknowledged_by"],
            acknowledged_at=_moment(item, "acknowledged_at"),
            kind=Kind(item.get("kind", Kind.FAILURE)),  # earlier releases knew no other
            version=int(item["version"]),
        )


def _moment(item: Mapping[str, Any], name: str) -> float | None:
    value = item.get(name)
    return None if value is None else float(value)
