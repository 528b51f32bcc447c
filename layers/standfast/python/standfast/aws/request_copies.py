"""RequestCopies on DynamoDB: the request table of another Region. Items stay as DynamoDB writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.request_copies import Item

_REFUSED = "ConditionalCheckFailedException"
_OURS = "attribute_not_exists(pk) OR copy_of = :from"
_NOT_NEWER = "attribute_not_exists(pk) OR (copy_of = :from AND attribute_not_exists(taken_by) AND #token <= :token)"
_STILL_OPEN = "attribute_exists(pk) AND attribute_not_exists(copy_of) AND #token < :token AND attribute_exists(open_in)"


class RequestTableElsewhere:
    """`table` in `region`, written by `own`."""

    def __init__(self, table: str, region: str, own: str, client: Any = None) -> None:
        self._table, self._own = table, own
        self._client: Any = client or boto3.client("dynamodb", region_name=region, config=config(attempts=2))

    def write(self, item: Item) -> bool:
        return self._put(item, _OURS, {":from": {"S": self._own}})

    def write_head(self, head: Item) -> bool:
        return self._put(head, _NOT_NEWER, {":from": {"S": self._own}, ":token": head["token"]}, {"#token": "token"})

    def forget(self, partition: str) -> None:
        with translated("DeleteItem of a copy"):
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key={"pk": {"S": partition}, "sk": {"S": "HEAD"}},
                    ConditionExpression="copy_of = :from AND attribute_not_exists(taken_by)",
                    ExpressionAttributeValues={":from": {"S": self._own}},
                )
            except ClientError as error:
                if error_code(error) != _REFUSED:
                    raise

    def settle(self, head: Item, pieces: Sequence[Item]) -> bool:
        # The pieces bear the taker's token in their names: where the head is refused nobody reads them.
        for piece in pieces:
            with translated("PutItem of a piece"):
                self._client.put_item(TableName=self._table, Item={**piece, "copy_of": {"S": self._own}})
        settled = {**head, "copy_of": {"S": self._own}}
        return self._put(settled, _STILL_OPEN, {":token": head["token"]}, {"#token": "token"})

    def _put(
        self, item: Item, condition: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None
    ) -> bool:
        more = {"ExpressionAttributeNames": dict(names)} if names else {}
        with translated("PutItem of a copy"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=dict(item),
                    ConditionExpression=condition,
                    ExpressionAttributeValues=dict(values),
                    **more,
                )
            except ClientError as error:
                if error_code(error) != _REFUSED:
                    raise
                return False
        return True
