"""RestoreLog and Scratch in the state table.

| pk | sk | item |
|---|---|---|
| <Region>#BACKUPS | LAST | the newest good snapshot, and the last rehearsal that succeeded |
| <Region>#BACKUPS | UNDO | what a restore under way would put back |
| <Region>#SCRATCH | <pk>|<sk> | what a rehearsal restored |
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.backup_ports import LastBackup, Undo
from standfast.brake import Switch
from standfast.fleet import Automation
from standfast.state_journal import ItemKey
from standfast.stream_records import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.backup_ports import Items

_APART: Final = "|"
"""Between the partition and the name that an item had: no Region and no name of ours holds it."""


class RestoreTable(Table):
    """Two items."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#BACKUPS"
        self._scratch = f"{region}#SCRATCH"

    def read_undo(self) -> Undo | None:
        item = self._get(self._partition, "UNDO")
        if item is None:
            return None
        with reading("UNDO"):
            switch = item["switch"]
            return Undo(
                execution_arn=item["execution_arn"],
                at=float(item["at"]),
                switch=None if switch is None else _switch(switch),
                items={ItemKey(*key): found for key, found in json.loads(item["items"])},
                wanted_text=item["wanted_text"],
            )

    def write_undo(self, undo: Undo) -> Undo:
        switch = undo.switch
        item: dict[str, object] = {
            "execution_arn": undo.execution_arn,
            "at": undo.at,
            "switch": None if switch is None else {**asdict(switch), "automation": str(switch.automation)},
            "items": json.dumps([[[key.table, key.pk, key.sk], found] for key, found in undo.items.items()]),
            "wanted_text": undo.wanted_text,
        }
        if self._put_new(self._partition, "UNDO", item):
            return undo
        return self.read_undo() or self.write_undo(undo)

    def drop_undo(self, execution_arn: str) -> None:
        self._delete_if(self._partition, "UNDO", "execution_arn = :arn", {":arn": execution_arn})

    def last_backup(self) -> LastBackup:
        item = self._get(self._partition, "LAST")
        if item is None:
            return LastBackup()
        with reading("LAST"):
            ended_at, first_at, rehearsed_at = (float(item[name]) for name in ("ended_at", "first_at", "rehearsed_at"))
            return LastBackup(str(item["snapshot_id"]), ended_at, first_at, rehearsed_at)

    def note_backup(self, last: LastBackup) -> None:
        """A refusal means that a newer snapshot or a newer rehearsal is known, which is as good."""
        self._put_if(
            self._partition,
            "LAST",
            asdict(last),
            "attribute_not_exists(pk) OR (ended_at <= :ended AND rehearsed_at <= :rehearsed)",
            {":ended": last.ended_at, ":rehearsed": last.rehearsed_at},
        )

    def scratch(self) -> ScratchScope:
        return ScratchScope(self._table, self._scratch, self._client)


class ScratchScope(Table):
    """One partition of the state table that nothing reads."""

    def __init__(self, table: str, partition: str, client: DynamoDBClient) -> None:
        super().__init__(table, client)
        self._partition = partition

    def fill(self, items: Items) -> None:
        for key, item in items.items():
            with translated("PutItem into the scratch scope"):
                self._client.put_item(
                    TableName=self._table, Item={**item, **self._key(self._partition, f"{key.pk}{_APART}{key.sk}")}
                )

    def contents(self) -> Items:
        found: dict[ItemKey, Mapping[str, Any]] = {}
        for key, item in self._kept():
            found[key] = {**item, "pk": {"S": key.pk}, "sk": {"S": key.sk}}
        return found

    def discard_all(self) -> Iterator[ItemKey]:
        for key, item in self._kept():
            with translated("DeleteItem of the scratch scope"):
                self._client.delete_item(TableName=self._table, Key={"pk": item["pk"], "sk": item["sk"]})
            yield key

    def _kept(self) -> list[tuple[ItemKey, Mapping[str, Any]]]:
        with translated("Query of the scratch scope"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": self._partition}},
            )
            items = [item for page in pages for item in page["Items"]]
        return [(ItemKey(CLUSTER, *item["sk"]["S"].split(_APART, 1)), item) for item in items]


def _switch(item: Mapping[str, Any]) -> Switch:
    return Switch(Automation(item["automation"]), item["reason"], item["set_by"], float(item["set_at"]), item["scope"])
