"""RegionTable: what all Regions of the fleet share, in a global table with multi-Region strong consistency (MRSC).

| pk | sk | item |
|---|---|---|
| FLEET | SWITCH | the automation switch |
| SIGHTS | <vantage>#<region> | how a Region's entry looks from another Region |

Such a table has no transactions and no TTL. A Region that is cut off from both others reads eventually only and cannot
write ("How global tables work: multi-Region strong consistency", DynamoDB developer guide). A one-Region fleet has an
ordinary table, to which all of this applies as well.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.items import decode_item, encode, encode_item
from standfast.aws.records import sight_from_item, switch_from_item
from standfast.errors import ThrottledError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.ports import Sight, Switch

WRITE_ATTEMPTS = 3

logger = logging.getLogger("standfast.region_table")


class RegionTable:
    """SwitchStore and SightStore on DynamoDB."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        # One attempt: where the other Regions do not answer, what is known here must be read within seconds.
        self._client = client or boto3.client("dynamodb", config=config(attempts=1))

    # SwitchStore

    def read_switch(self) -> Switch:
        try:
            return self._switch(consistent=True)
        except TransientError as error:
            logger.warning("the other Regions do not answer, the switch is taken as it is known here: %s", error)
            return self._switch(consistent=False)

    def glance_at_switch(self) -> Switch:
        return self._switch(consistent=False)

    def write_switch(self, switch: Switch) -> None:
        self._put("FLEET", "SWITCH", {**asdict(switch), "automation": str(switch.automation)})

    # SightStore

    def write_sight(self, sight: Sight) -> None:
        name = f"{sight.vantage}#{sight.region}"
        self._put("SIGHTS", name, {**asdict(sight), "verdict": str(sight.verdict)})

    def sights(self) -> Sequence[Sight]:
        with translated("Query SIGHTS"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": encode("SIGHTS")},
            )
            items = [item for page in pages for item in page["Items"]]
        return [sight_from_item(decode_item(item, f"SIGHTS {item['sk']['S']}")) for item in items]

    # DynamoDB

    def _switch(self, *, consistent: bool) -> Switch:
        with translated("GetItem SWITCH"):
            key = self._key("FLEET", "SWITCH")
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=consistent)
        item = answer.get("Item")
        return switch_from_item(None if item is None else decode_item(item, "FLEET SWITCH"))

    def _put(self, partition: str, name: str, item: Mapping[str, object]) -> None:
        """Replace an item; another Region that wrote it at the same moment is no refusal."""
        for left in reversed(range(WRITE_ATTEMPTS)):
            try:
                with translated(f"PutItem {name}"):
                    whole = {**encode_item(item), **self._key(partition, name)}
                    self._client.put_item(TableName=self._table, Item=whole)
            except ThrottledError:
                if not left:
                    raise
            else:
                return

    @staticmethod
    def _key(partition: str, name: str) -> dict[str, Any]:
        return {"pk": {"S": partition}, "sk": {"S": name}}
