"""RecoveryStore on DynamoDB: what is written is read, and of two writers one has to read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from standfast.aws.recovery_table import RecoveryTable
from standfast.errors import ConflictError, CorruptStateError
from standfast.lease import HolderState
from standfast.recovery import Remedy
from standfast.recovery_record import RecoveryRecord
from standfast.xids import Action
from tests.builders import ACTIVE, NOW, SCOPE

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:cluster-recovery:one"


TABLE = "standfast-recoveries"


@pytest.fixture
def client(aws: str) -> Iterator[Any]:
    """A DynamoDB client with the table, empty."""
    dynamodb: Any = boto3.client("dynamodb", region_name=aws)
    names = ("pk", "sk")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
    )
    yield dynamodb
    dynamodb.delete_table(TableName=TABLE)


@pytest.fixture
def table(client: Any) -> RecoveryTable:
    return RecoveryTable(TABLE, SCOPE, client)


def test_a_cluster_that_was_never_recovered_has_an_empty_record(table: RecoveryTable) -> None:
    assert table.read_recovery(ACTIVE) == RecoveryRecord(ACTIVE)


def test_what_is_written_is_read_with_a_version_one_higher(table: RecoveryTable) -> None:
    record = (
        RecoveryRecord(ACTIVE, attempts=2, not_before=NOW + 60, down_since=NOW - 5)
        .taken_by(EXECUTION, HolderState.ENDED, NOW)
        .with_remedies([Remedy("r-1", "i-1", Action.RESET_GPU, NOW, "Xid 95")], NOW)
        .with_out(["i-1"], ["i-1", "i-2"])
    )
    table.write_recovery(record)
    read = table.read_recovery(ACTIVE)
    assert read.version == 1
    assert (read.lease, read.remedies, read.taken_out) == (record.lease, record.remedies, record.taken_out)
    assert (read.attempts, read.not_before, read.down_since) == (2, NOW + 60, NOW - 5)


def test_why_the_last_recovery_failed_is_kept_until_one_succeeds_and_an_earlier_release_kept_none(
    table: RecoveryTable, client: Any
) -> None:
    table.write_recovery(RecoveryRecord(ACTIVE).failed(60, NOW, "i-1 is not mended by the whole ladder"))
    read = table.read_recovery(ACTIVE)
    assert (read.attempts, read.failure) == (1, "i-1 is not mended by the whole ladder")
    assert len(read.failed(60, NOW, "x" * 5000).failure) == 1000
    assert read.succeeded().failure == ""
    key = {"pk": {"S": f"{SCOPE}#RECOVERY"}, "sk": {"S": ACTIVE}}
    client.update_item(TableName=TABLE, Key=key, UpdateExpression="REMOVE failure")
    assert table.read_recovery(ACTIVE).failure == ""


def test_of_two_writers_one_has_to_read_again(table: RecoveryTable) -> None:
    table.write_recovery(RecoveryRecord(ACTIVE))
    seen = table.read_recovery(ACTIVE)
    table.write_recovery(seen)
    with pytest.raises(ConflictError, match="no longer at version 1"):
        table.write_recovery(seen)
    with pytest.raises(ConflictError):
        table.write_recovery(RecoveryRecord(ACTIVE))


def test_an_item_that_cannot_be_understood_says_so(table: RecoveryTable, client: Any) -> None:
    item = {"pk": {"S": f"{SCOPE}#RECOVERY"}, "sk": {"S": ACTIVE}, "schema": {"N": "1"}}
    client.put_item(TableName=TABLE, Item=item)
    with pytest.raises(CorruptStateError, match="cannot be understood"):
        table.read_recovery(ACTIVE)
