"""RelayStore of the watch of the Regions, in the state table: item WATCH#REGIONS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.items import SCHEMA, encode
from standfast.aws.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME = "WATCH#REGIONS"


class RegionRelay(Table):
    """Which run has the watch."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._region = region

    def relay(self) -> int:
        item = self._get(self._region, NAME)
        return int(item.get("active", 0)) if item else 0

    def enter(self) -> int:
        with translated(f"UpdateItem {NAME}"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=self._key(self._region, NAME),
                UpdateExpression="ADD generation :one SET #schema = :schema",
                ExpressionAttributeNames={"#schema": "schema"},
                ExpressionAttributeValues={":one": {"N": "1"}, ":schema": encode(SCHEMA)},
                ReturnValues="UPDATED_NEW",
            )
        return int(answer["Attributes"]["generation"]["N"])

    def take_over(self, generation: int) -> None:
        """A refusal means that a later run has the watch, which is as good."""
        self._update(
            self._region,
            NAME,
            "SET active = :generation",
            {":generation": generation},
            condition="attribute_not_exists(active) OR active < :generation",
        )
