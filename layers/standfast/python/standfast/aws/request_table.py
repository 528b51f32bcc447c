"""RequestJournal on DynamoDB: the table that gateways write, as docs/requests.md lays it out.

A request is the partition `REQUEST#<id>`: HEAD, BODY, and the pieces of its answer, `OUT#<token>#<number>`. Heads that
are open lie in the index `open` too. A piece's name holds its writer's token: what a writer that was outrun writes is
read by nobody, so pieces need no condition.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.items import decode_item, encode
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import CorruptStateError, FencedError
from standfast.journal import Emitted, Head, Serving, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.request_copies import Item

INDEX = "open"
PARTS = 4
KEPT_SECONDS = 30 * 86_400
_OPEN = {":accepted": State.ACCEPTED, ":interrupted": State.INTERRUPTED, ":claimed": State.CLAIMED}
_IS_OPEN = "#state IN (:accepted, :interrupted, :claimed)"
_STATE = {"#state": "state", "#token": "token"}


class RequestTable(Table):
    """RequestJournal of `region`, and what Standfast itself says to gateways."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._region = region

    async def open_heads(self, scope: str) -> Sequence[Head]:
        parts = await asyncio.gather(
            *(asyncio.to_thread(self._open_in, f"{scope}#{number}") for number in range(PARTS))
        )
        return sorted((head for part in parts for head in part), key=lambda head: head.accepted_at)

    async def gateways(self, names: Collection[str]) -> Mapping[str, float]:
        items = await asyncio.gather(
            *(asyncio.to_thread(self._get, f"GATEWAY#{name}", "BEAT") for name in sorted(names))
        )
        return {
            name: float(item["alive_until"])
            for name, item in zip(sorted(names), items, strict=True)
            if item is not None
        }

    async def claim(self, head: Head, owner: str, until: float) -> Head | None:
        elsewhere = head.scope != self._region
        taken = await asyncio.to_thread(
            self._update,
            _partition(head.request_id),
            "HEAD",
            "SET #state = :claimed, #token = :next, #owner = :owner, claimed_until = :until"
            + ", taken_by = :region" * elsewhere,
            {
                **({":region": self._region} if elsewhere else {}),
                ":claimed": State.CLAIMED,
                ":next": head.token + 1,
                ":owner": owner,
                ":until": until,
                ":token": head.token,
                ":seen": head.state,
                ":seen_until": head.claimed_until,
            },
            condition="#token = :token AND #state = :seen AND claimed_until = :seen_until",
            names={**_STATE, "#owner": "owner"},
        )
        return None if taken is not None else _claimed(head, owner, until)

    async def read_body(self, request_id: str) -> bytes:
        item = await asyncio.to_thread(self._get, _partition(request_id), "BODY")
        if item is None:
            raise CorruptStateError(f"request {request_id} has no body in the journal")
        with reading(f"BODY of {request_id}"):
            try:
                return zlib.decompress(bytes(item["body"]))
            except zlib.error as error:
                raise ValueError(str(error)) from error

    async def read_emitted(self, request_id: str, token: int) -> Emitted:
        items = await asyncio.to_thread(self._between, _partition(request_id), "OUT#", f"{_pieces_of(token)}~")
        return _newest(items)

    async def write_emitted(self, request_id: str, token: int, number: int, piece: Emitted, expires_at: float) -> None:
        item = {"text": piece.text, "tokens": piece.tokens, "finish": piece.finish, "expires_at": int(expires_at)}
        await asyncio.to_thread(self._put, _partition(request_id), f"{_pieces_of(token)}{number:08d}", item)

    async def renew(self, request_id: str, token: int, until: float) -> None:
        await self._change(request_id, token, {"claimed_until": until})

    async def let_go(self, request_id: str, token: int) -> None:
        await self._change(request_id, token, {"state": State.INTERRUPTED})

    async def end(self, request_id: str, token: int, pieces: int, finish: str, now: float) -> None:
        ended = {"state": State.ENDED, "pieces": pieces, "finish": finish, "ended_at": now}
        await self._change(request_id, token, ended, closes=True)

    async def give_up(self, request_id: str, token: int, reason: str, now: float) -> None:
        given_up = {"state": State.INCOMPLETE, "reason": reason, "ended_at": now}
        await self._change(request_id, token, given_up, closes=True)

    def answer_of(self, head: Item) -> Sequence[Item]:
        """The pieces of an answer that has ended, as they lie here. `head` is the item itself."""
        if "pieces" not in head:
            return []
        first = _pieces_of(int(head["token"]["N"]))
        with translated("Query of an answer"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :first)",
                ExpressionAttributeValues={":pk": dict(head["pk"]), ":first": {"S": first}},
            )
            return [item for page in pages for item in page["Items"]]

    def write_serving(self, scope: str, serving: Serving, now: float) -> None:
        """Say to gateways what a Region serves: they write it down with each request."""
        item = {**asdict(serving), "serving": str(serving), "said_at": now, "expires_at": int(now) + KEPT_SECONDS}
        self._put(f"SERVING#{scope}", "NOW", item)

    def read_serving(self, scope: str) -> Serving | None:
        """What was said last; None where nothing was."""
        item = self._get(f"SERVING#{scope}", "NOW")
        if item is None:
            return None
        with reading(f"SERVING of {scope}"):
            return Serving(item["model"], item["version"], item["tokenizer_sha256"], item["engine"])

    def _open_in(self, part: str) -> list[Head]:
        with translated(f"Query {INDEX} {part}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression="open_in = :part",
                ExpressionAttributeValues={":part": encode(part)},
            )
            return [_head(decode_item(item, part)) for page in pages for item in page["Items"]]

    async def _change(
        self, request_id: str, token: int, changes: Mapping[str, object], *, closes: bool = False
    ) -> None:
        """`closes`: the request leaves the index of those that are open."""
        stood = await asyncio.to_thread(
            self._update,
            _partition(request_id),
            "HEAD",
            "SET " + ", ".join(f"#{name} = :{name}" for name in changes) + " REMOVE open_in" * closes,
            {**{f":{name}": value for name, value in changes.items()}, ":ours": token, **_OPEN},
            condition=f"#token = :ours AND {_IS_OPEN}",
            names={**_STATE, **{f"#{name}": name for name in changes}},  # DynamoDB reserves hundreds of words
        )
        if stood is not None:
            said = f"{stood.get('state', 'gone')} under token {stood.get('token')}"
            raise FencedError(f"request {request_id} is {said}, not open under {token}: somebody else has it")


def _partition(request_id: str) -> str:
    return f"REQUEST#{request_id}"


def _pieces_of(token: int) -> str:
    return f"OUT#{token:06d}#"


def _claimed(head: Head, owner: str, until: float) -> Head:
    return Head(
        head.request_id, State.CLAIMED, head.token + 1, owner, head.scope, head.path, head.serving, head.accepted_at,
        head.expires_at, until,
    )  # fmt: skip


def _head(item: Mapping[str, Any]) -> Head:
    with reading(f"HEAD of {item.get('request_id')}"):
        return Head(
            request_id=item["request_id"],
            state=State(item["state"]),
            token=int(item["token"]),
            owner=item["owner"],
            scope=item["scope"],
            path=item["path"],
            serving=item["serving"],
            accepted_at=float(item["accepted_at"]),
            expires_at=float(item["expires_at"]),
            claimed_until=float(item["claimed_until"]),
        )


def _newest(items: Iterable[Mapping[str, Any]]) -> Emitted:
    """The pieces of the last writer that wrote its first one, up to the first that is missing."""
    by_writer: dict[str, dict[int, Mapping[str, Any]]] = {}
    for item in items:
        _, token, number = item["sk"].split("#")
        by_writer.setdefault(token, {})[int(number)] = item
    begun = [token for token, pieces in by_writer.items() if 0 in pieces]
    text, tokens, finish = "", 0, ""
    for number in range(len(by_writer[max(begun)])) if begun else ():
        piece = by_writer[max(begun)].get(number)
        if piece is None:
            break
        text, tokens, finish = text + piece["text"], tokens + int(piece["tokens"]), piece["finish"]
    return Emitted(text, tokens, finish)
