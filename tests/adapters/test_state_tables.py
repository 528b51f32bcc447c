"""StateTables, RestoreLog and BackupStore: what is atomic, and what may be repeated."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from standfast.aws.backup_store import BackupBucket
from standfast.aws.restore_table import RestoreTable
from standfast.aws.state_tables import RegionalTables
from standfast.backup_ports import LastBackup, Undo
from standfast.brake import Switch, region_scope
from standfast.errors import ConflictError
from standfast.fleet import Automation
from standfast.state_journal import ItemKey

SCOPE = "us-east-1"
BUCKET = "chat-backups-of-tests"
KEY = ItemKey("cluster", SCOPE, "SCOPE")
GARBAGE: dict[str, Any] = {"weights": {"S": "oops"}, "list": {"L": [{"N": "1"}]}, "map": {"M": {"a": {"BOOL": True}}}}


@pytest.fixture
def tables(state_table: str, dynamodb: Any) -> RegionalTables:
    return RegionalTables(state_table, state_table, SCOPE, dynamodb)


@pytest.fixture
def log(state_table: str, dynamodb: Any) -> RestoreTable:
    return RestoreTable(state_table, SCOPE, dynamodb)


def written(dynamodb: Any, table: str, item: dict[str, Any]) -> dict[str, Any]:
    whole = {"pk": {"S": SCOPE}, "sk": {"S": "SCOPE"}, **item}
    dynamodb.put_item(TableName=table, Item=whole)
    return whole


def test_an_item_is_discarded_as_it_was_seen_and_again(tables: RegionalTables, dynamodb: Any, state_table: str) -> None:
    seen = written(dynamodb, state_table, GARBAGE)
    assert KEY in tables.scan()
    assert KEY in tables.understood(tables.scan()).unreadable
    tables.discard(KEY, seen)
    tables.discard(KEY, seen)
    assert KEY not in tables.scan()


@pytest.mark.parametrize("field", ["weights", "list", "map"])
def test_an_item_that_changed_since_is_left_alone(
    tables: RegionalTables, dynamodb: Any, state_table: str, field: str
) -> None:
    seen = written(dynamodb, state_table, GARBAGE)
    written(dynamodb, state_table, {**GARBAGE, field: {"S": "mended"}})
    with pytest.raises(ConflictError):
        tables.discard(KEY, seen)
    assert KEY in tables.scan()


def test_an_item_with_nothing_in_it_can_be_discarded(tables: RegionalTables, dynamodb: Any, state_table: str) -> None:
    tables.discard(KEY, written(dynamodb, state_table, {}))
    assert KEY not in tables.scan()


def undo(arn: str, switch: Switch | None = None) -> Undo:
    return Undo(arn, 5.0, switch, {KEY: GARBAGE}, "text")


def test_what_was_written_down_first_stands_and_comes_back_as_it_was(log: RestoreTable) -> None:
    first = undo("one", Switch(Automation.OBSERVE, "why", "ada", 4.0, region_scope(SCOPE)))
    assert log.write_undo(first) == first
    assert log.write_undo(undo("two")) == first
    assert log.read_undo() == first


def test_only_its_own_execution_drops_it(log: RestoreTable) -> None:
    log.write_undo(undo("one"))
    log.drop_undo("two")
    assert log.read_undo() is not None
    log.drop_undo("one")
    log.drop_undo("one")
    assert log.read_undo() is None


def test_an_older_backup_is_not_pointed_at_again(log: RestoreTable) -> None:
    assert log.last_backup() == LastBackup()
    newest = LastBackup("two", 20.0, 5.0, 15.0)
    log.note_backup(newest)
    log.note_backup(LastBackup("one", 10.0, 5.0, 15.0))
    log.note_backup(LastBackup("three", 30.0, 5.0, 0.0))
    assert log.last_backup() == newest


def test_a_scratch_scope_gives_back_what_was_put_in_and_leaves_nothing(
    log: RestoreTable, tables: RegionalTables
) -> None:
    item = {"pk": {"S": SCOPE}, "sk": {"S": "SCOPE"}, **GARBAGE}
    scratch = log.scratch()
    scratch.fill({KEY: item})
    scratch.fill({KEY: item})
    assert scratch.contents() == {KEY: item}
    assert KEY not in tables.scan()
    assert list(scratch.discard_all()) == [KEY]
    assert tables.scan() == {}


def test_an_object_is_written_once(aws: str) -> None:
    s3 = boto3.client("s3", region_name=aws)
    s3.create_bucket(Bucket=BUCKET)
    store = BackupBucket(BUCKET, aws, s3)
    assert store.read("a") is None
    assert store.write_once("a", b"first")
    assert not store.write_once("a", b"second")
    assert store.read("a") == b"first"


def test_snapshots_of_a_day_are_listed_newest_first_finished_or_not(aws: str) -> None:
    s3 = boto3.client("s3", region_name=aws)
    s3.create_bucket(Bucket=BUCKET)
    store = BackupBucket(BUCKET, aws, s3)
    for name in ("T010000Z-0001", "T120000Z-0002"):
        store.write_once(f"snapshots/{SCOPE}/2026/11/26/{name}/state.json", b"{}")
    store.write_once("snapshots/eu-west-1/2026/11/26/T130000Z-0001/state.json", b"{}")
    assert store.snapshots(SCOPE, "2026/11/26") == ["2026/11/26/T120000Z-0002", "2026/11/26/T010000Z-0001"]
    assert store.snapshots(SCOPE, "2026/11/25") == []
