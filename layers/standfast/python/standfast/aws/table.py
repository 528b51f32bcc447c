"""Reading and writing items: the calls that both tables are made of. An item has a partition `pk` and a name `sk`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from standfast.aws.calls import error_code, translated
from standfast.aws.items import decode_item, encode, encode_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

_REFUSED = "ConditionalCheckFailedException"


class Table:
    """One DynamoDB table."""

    def __init__(self, table: str, client: DynamoDBClient) -> None:
        self._table = table
        self._client = client

    @staticmethod
    def _key(partition: str, name: str) -> dict[str, Any]:
        return {"pk": {"S": partition}, "sk": {"S": name}}

    def _get(self, partition: str, name: str, *, consistent: bool = True) -> dict[str, Any] | None:
        with translated(f"GetItem {name}"):
            key = self._key(partition, name)
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=consistent)
        item = answer.get("Item")
        return None if item is None else decode_item(item, f"{partition} {name}")

    def _query(self, partition: str, *, consistent: bool = True) -> list[dict[str, Any]]:
        with translated(f"Query {partition}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=consistent,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": encode(partition)},
            )
            return [decode_item(item, f"{partition} {item['sk']['S']}") for page in pages for item in page["Items"]]

    def _between(self, partition: str, first: str, last: str) -> list[dict[str, Any]]:
        """The items whose names lie from `first` to `last`, both included, in order."""
        with translated(f"Query {partition}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues={
                    ":pk": encode(partition),
                    ":first": encode(first),
                    ":last": encode(last),
                },
            )
            return [decode_item(item, f"{partition} {item['sk']['S']}") for page in pages for item in page["Items"]]

    def _newest(self, partition: str, prefix: str, most: int) -> list[dict[str, Any]]:
        """The last items whose names begin so (all of them: empty), the last name first. Perhaps a moment old."""
        named = {":prefix": encode(prefix)} if prefix else {}  # DynamoDB compares no name with nothing
        with translated(f"Query {partition}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk" + " AND begins_with(sk, :prefix)" * bool(prefix),
                ExpressionAttributeValues={":pk": encode(partition), **named},
                ScanIndexForward=False,
                PaginationConfig={"MaxItems": most, "PageSize": most},
            )
            return [decode_item(item, f"{partition} {item['sk']['S']}") for page in pages for item in page["Items"]]

    def _delete_if(self, partition: str, name: str, condition: str, values: Mapping[str, object]) -> bool:
        with translated(f"DeleteItem {name}"):
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=self._key(partition, name),
                    ConditionExpression=condition,
                    ExpressionAttributeValues={key: encode(value) for key, value in values.items()},
                )
            except ClientError as error:
                if error_code(error) != _REFUSED:
                    raise
                return False
        return True

    def _put(self, partition: str, name: str, item: Mapping[str, object]) -> None:
        with translated(f"PutItem {name}"):
            self._client.put_item(TableName=self._table, Item={**encode_item(item), **self._key(partition, name)})

    def _put_new(self, partition: str, name: str, item: Mapping[str, object]) -> bool:
        return self._put_if(partition, name, item, "attribute_not_exists(pk)", {})

    def _put_if(
        self,
        partition: str,
        name: str,
        item: Mapping[str, object],
        condition: str,
        values: Mapping[str, object],
        *,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        more: dict[str, Any] = {"ExpressionAttributeNames": dict(names)} if names else {}
        if values:
            more["ExpressionAttributeValues"] = {key: encode(value) for key, value in values.items()}
        with translated(f"PutItem {name}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={**encode_item(item), **self._key(partition, name)},
                    ConditionExpression=condition,
                    **more,  # botocore refuses empty ones
                )
            except ClientError as error:
                if error_code(error) != _REFUSED:
                    raise
                return False
        return True

    def _update(
        self,
        partition: str,
        name: str,
        expression: str,
        values: Mapping[str, object],
        *,
        condition: str,
        names: Mapping[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """Update under a condition. None when written, else the item as it stood, empty when there is none."""
        more = {"ExpressionAttributeNames": dict(names)} if names else {}
        with translated(f"UpdateItem {name}"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=self._key(partition, name),
                    UpdateExpression=expression,
                    ExpressionAttributeValues={key: encode(value) for key, value in values.items()},
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,  # type: ignore[arg-type]  # botocore refuses an empty ExpressionAttributeNames
                )
            except ClientError as error:
                if error_code(error) != _REFUSED:
                    raise
                stood: Any = error.response.get("Item")
                return decode_item(stood, f"{partition} {name}") if stood else {}
        return None
