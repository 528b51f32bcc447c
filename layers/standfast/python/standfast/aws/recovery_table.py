"""RecoveryStore: one item a cluster in the state table's partition `<scope>#RECOVERY`, written as a whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import ConflictError
from standfast.lease import Lease, Purpose
from standfast.recovery import Remedy
from standfast.recovery_record import RecoveryRecord
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient


class RecoveryTable(Table):
    """RecoveryStore on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#RECOVERY"

    def read_recovery(self, cluster_id: str) -> RecoveryRecord:
        item = self._get(self._partition, cluster_id)
        return RecoveryRecord(cluster_id) if item is None else _record(item)

    def write_recovery(self, record: RecoveryRecord) -> None:
        held = record.lease
        item: dict[str, object] = {
            "cluster_id": record.cluster_id,
            "version": record.version + 1,
            "lease": {**asdict(held), "purpose": str(held.purpose) if held.purpose else None},
            "remedies": [{**asdict(remedy), "rung": int(remedy.rung)} for remedy in record.remedies],
            "taken_out": sorted(record.taken_out),
            "attempts": record.attempts,
            "not_before": record.not_before,
            "down_since": record.down_since,
            "failure": record.failure,
        }
        unchanged = "attribute_not_exists(pk) OR version = :seen"
        if not self._put_if(self._partition, record.cluster_id, item, unchanged, {":seen": record.version}):
            raise ConflictError(f"the recovery record of {record.cluster_id} is no longer at version {record.version}")


def _record(item: Mapping[str, Any]) -> RecoveryRecord:
    with reading(f"the recovery of {item.get('cluster_id')}"):
        held = item["lease"]
        return RecoveryRecord(
            cluster_id=item["cluster_id"],
            version=int(item["version"]),
            lease=Lease(
                token=int(held["token"]),
                holder=held["holder"],
                purpose=Purpose(held["purpose"]) if held["purpose"] else None,
                acquired_at=float(held["acquired_at"]),
            ),
            remedies=tuple(
                Remedy(each["remedy_id"], each["instance_id"], Action(each["rung"]), float(each["at"]), each["reason"])
                for each in item["remedies"]
            ),
            taken_out=frozenset(item["taken_out"]),
            attempts=int(item["attempts"]),
            not_before=float(item["not_before"]),
            down_since=None if item["down_since"] is None else float(item["down_since"]),
            failure=item.get("failure", ""),  # earlier releases kept none
        )
