"""The calls to DynamoDB, on threads of their own: boto3 knows no event loop."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from standfast_gateway import layout
from standfast_gateway.settings import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from standfast_gateway.layout import Item

T = TypeVar("T")
THREADS = 8


class Calls:
    """Each call answers in two times `answer_seconds` or raises UnavailableError. `client`: one of boto3's."""

    def __init__(self, table: str, scope: str, answer_seconds: float, client: Any = None) -> None:
        self._table = table
        self._client = client or boto3.client(
            "dynamodb",
            region_name=scope,
            config=Config(
                connect_timeout=1,
                read_timeout=answer_seconds,
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=THREADS,
                tcp_keepalive=True,
            ),
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request-journal")

    async def write(self, items: Sequence[Item]) -> Sequence[Item]:
        """Put up to 25 items. Answers those that were left out."""

        def call() -> Sequence[Item]:
            asked: Any = {self._table: [{"PutRequest": {"Item": item}} for item in items]}
            answer = self._client.batch_write_item(RequestItems=asked)
            return [each["PutRequest"]["Item"] for each in answer.get("UnprocessedItems", {}).get(self._table, ())]

        return await self._call(f"BatchWriteItem of {len(items)}", call)

    async def put_new(self, item: Item) -> bool:
        """Put an item unless there is one. False when there was."""

        def call() -> bool:
            try:
                self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        return await self._call("PutItem of a head", call)

    async def change(self, request_id: str, token: int, changes: Mapping[str, Item], *, closes: bool) -> bool:
        """Change a head that is still ours. False when it is not; `closes`: it leaves the index of what is open."""

        def call() -> bool:
            names = {f"#{name}": name for name in changes}
            values = {f":{name}": value for name, value in changes.items()}
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=layout.head_key(request_id),
                    UpdateExpression="SET "
                    + ", ".join(f"#{name} = :{name}" for name in changes)
                    + (" REMOVE open_in" if closes else ""),
                    ConditionExpression="#token = :ours AND #state = :accepted",
                    ExpressionAttributeNames={**names, "#token": "token", "#state": "state"},
                    ExpressionAttributeValues={
                        **values,
                        ":ours": {"N": str(token)},
                        ":accepted": {"S": "accepted"},
                    },
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        return await self._call(f"UpdateItem of {request_id}", call)

    async def forget(self, head: Item) -> None:
        """Delete a head that nobody was told of, if it is that very one: under a key there may be an earlier one."""
        request_id = head["request_id"]["S"]

        def call() -> None:
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=layout.head_key(request_id),
                    ConditionExpression="#owner = :owner AND accepted_at = :accepted_at",
                    ExpressionAttributeNames={"#owner": "owner"},
                    ExpressionAttributeValues={":owner": head["owner"], ":accepted_at": head["accepted_at"]},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return

        await self._call(f"DeleteItem of {request_id}", call)

    async def read(self, key: Item) -> Item | None:
        """An item as it is now."""

        def call() -> Item | None:
            found: Item | None = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            return found

        return await self._call("GetItem", call)

    async def read_pieces(self, request_id: str, token: int, count: int) -> list[Item]:
        """The first pieces that a writer wrote, as far as they are there without a gap."""

        def call() -> list[Item]:
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues={
                    ":pk": {"S": f"REQUEST#{request_id}"},
                    ":first": {"S": layout.piece_name(token, 0)},
                    ":last": {"S": layout.piece_name(token, count - 1)},
                },
            )
            return [item for page in pages for item in page["Items"]]

        return await self._call(f"Query of {request_id}", call) if count else []

    async def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            raise UnavailableError(f"{what}: {error.response.get('Error', {}).get('Code', 'no code')}") from error
        except (BotoCoreError, RuntimeError) as error:  # RuntimeError: the threads have ended
            raise UnavailableError(f"{what}: {error}") from error


def unpacked(attribute: Mapping[str, Any]) -> bytes:
    """What was packed into a binary attribute."""
    return zlib.decompress(bytes(attribute["B"]))
