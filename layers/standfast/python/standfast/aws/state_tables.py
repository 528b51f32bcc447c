"""StateTables on DynamoDB: the state tables item by item, and what their items say of this Region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.aws.config_table import standing_from_item
from standfast.aws.items import decode_item
from standfast.aws.model_table import record_from_item
from standfast.aws.records import scope_from_item
from standfast.backup_ports import ControlState
from standfast.errors import ConflictError, CorruptStateError
from standfast.state_journal import ItemKey
from standfast.stream_records import CLUSTER, REGIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.backup_ports import Items

PAGE_ITEMS: Final = 25
"""An item has 400 KB at most, and a page's answer must come within the client's time-out."""


class RegionalTables:
    """The table of this Region, and the one that the Regions share."""

    def __init__(self, table: str, region_table: str, region: str, client: DynamoDBClient | None = None) -> None:
        self._names = {CLUSTER: table, REGIONS: region_table}
        self._region = region
        self._client = client or boto3.client("dynamodb", config=config(attempts=3))

    def scan(self) -> Items:
        # A Region that is cut off from the others reads the shared table eventually only.
        return {**self._scanned(CLUSTER, consistent=True), **self._scanned(REGIONS, consistent=False)}

    def read_decisive(self) -> Items:
        found: dict[ItemKey, Mapping[str, Any]] = {}
        for key in (self._key("SCOPE"), self._key("CONFIG")):
            with translated(f"GetItem {key.sk}"):
                answer = self._client.get_item(
                    TableName=self._names[CLUSTER],
                    Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                    ConsistentRead=True,
                )
            if "Item" in answer:
                found[key] = answer["Item"]
        with translated("Query of the models"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._names[CLUSTER],
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"{self._region}#MODELS"}},
            )
            models = [item for page in pages for item in page["Items"]]
        return found | {ItemKey(CLUSTER, item["pk"]["S"], item["sk"]["S"]): item for item in models}

    def understood(self, items: Items) -> ControlState:
        unreadable: dict[ItemKey, str] = {}

        def read(key: ItemKey, made: Callable[[Mapping[str, Any]], Any]) -> Any:
            item = items.get(key)
            try:
                return None if item is None else made(decode_item(item, f"{key.pk} {key.sk}"))
            except CorruptStateError as error:
                unreadable[key] = str(error)
                return None

        scope = read(self._key("SCOPE"), scope_from_item)
        standing = read(self._key("CONFIG"), standing_from_item)
        models = [read(key, record_from_item) for key in sorted(items) if self._is_model(key)]
        return ControlState(scope, standing, tuple(each for each in models if each is not None), unreadable)

    def decisive(self, items: Items) -> Items:
        fixed = (self._key("SCOPE"), self._key("CONFIG"))
        return {key: item for key, item in items.items() if key in fixed or self._is_model(key)}

    def discard(self, key: ItemKey, seen: Mapping[str, Any]) -> None:
        fields = sorted(name for name in seen if name not in ("pk", "sk"))
        same = [f"#f{number} = :v{number}" for number, _ in enumerate(fields)] or ["attribute_exists(pk)"]
        more: dict[str, Any] = {}
        if fields:  # botocore refuses empty ones
            more["ExpressionAttributeNames"] = {f"#f{number}": name for number, name in enumerate(fields)}
            more["ExpressionAttributeValues"] = {f":v{number}": seen[name] for number, name in enumerate(fields)}
        with translated(f"DeleteItem {key.sk}"):
            try:
                self._client.delete_item(
                    TableName=self._names[key.table],
                    Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                    ConditionExpression=f"attribute_not_exists(pk) OR ({' AND '.join(same)})",
                    **more,
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                raise ConflictError(f"{key} was changed since it was found unreadable; look again") from error

    def _scanned(self, table: str, *, consistent: bool) -> dict[ItemKey, Mapping[str, Any]]:
        with translated(f"Scan {self._names[table]}"):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._names[table], ConsistentRead=consistent, PaginationConfig={"PageSize": PAGE_ITEMS}
            )
            return {ItemKey(table, item["pk"]["S"], item["sk"]["S"]): item for page in pages for item in page["Items"]}

    def _key(self, name: str) -> ItemKey:
        return ItemKey(CLUSTER, self._region, name)

    def _is_model(self, key: ItemKey) -> bool:
        return key.table == CLUSTER and key.pk == f"{self._region}#MODELS"
