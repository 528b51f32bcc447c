"""The gateway's part: batches, what is read of an answer as it passes, and the middleware, on a journal that is told to
fail or to be slow."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from standfast_gateway import JournalMiddleware, RequestJournal, Settings, UnavailableError
from standfast_gateway.batches import Batches
from standfast_gateway.events import EventReader, finish_of
from standfast_gateway.middleware import REQUESTS
from tests.virtual_time import VirtualTimeLoop

Item = dict[str, Any]


def item(name: str) -> Item:
    return {"pk": {"S": name}, "sk": {"S": "HEAD"}}


def run(work: Awaitable[Any]) -> Any:
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Table:
    """Writes that are kept; `left_out`: how many items of each call are not taken, `fails`: none is."""

    def __init__(self, left_out: int = 0, fails: str = "") -> None:
        self.calls: list[list[str]] = []
        self.left_out, self.fails = left_out, fails

    async def write(self, items: Sequence[Item]) -> Sequence[Item]:
        self.calls.append([each["pk"]["S"] for each in items])
        if self.fails:
            raise UnavailableError(self.fails)
        return items[: self.left_out]


def test_writes_of_a_moment_go_in_one_call() -> None:
    table = Table()

    async def play() -> None:
        batches = Batches(table.write, 0.005)
        await asyncio.gather(*(batches.put(item(f"r{number}")) for number in range(24)))

    run(play())
    assert table.calls == [[f"r{number}" for number in range(24)]]


def test_a_full_batch_does_not_linger() -> None:
    table = Table()

    async def play() -> float:
        batches = Batches(table.write, 3600.0)
        await asyncio.gather(*(batches.put(item(f"r{number}")) for number in range(25)))
        return asyncio.get_running_loop().time()

    assert run(play()) == 0.0
    assert [len(call) for call in table.calls] == [25]


def test_what_is_left_out_is_written_again_and_only_that() -> None:
    table = Table(left_out=1)

    async def play() -> None:
        batches = Batches(table.write, 0.005)
        writing = [asyncio.ensure_future(batches.put(item(name))) for name in "ab"]
        done, _ = await asyncio.wait(writing, timeout=0.03)
        assert done == {writing[1]}
        table.left_out = 0
        await writing[0]

    run(play())
    assert table.calls == [["a", "b"], ["a"]]


def test_what_is_left_out_again_and_again_is_said() -> None:
    async def play() -> None:
        await Batches(Table(left_out=1).write, 0.0).put(item("a"))

    with pytest.raises(UnavailableError, match="left out 1 items again and again: it is throttled"):
        run(play())


def test_a_table_that_fails_fails_whoever_waits() -> None:
    async def play() -> Any:
        batches = Batches(Table(fails="no answer").write, 0.0)
        return await asyncio.gather(batches.put(item("a")), batches.put(item("b")), return_exceptions=True)

    assert [str(error) for error in run(play())] == ["no answer", "no answer"]


# What is read of an answer


def event(text: str = "", finish: str | None = None, **choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"text": text, "finish_reason": finish, **choice}]}).encode() + b"\n\n"


STREAM = event("Hel") + event("lo ä") + event(finish="stop") + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_read_in_whatever_pieces_it_comes(size: int) -> None:
    reader = EventReader()
    for start in range(0, len(STREAM), size):
        reader.feed(STREAM[start : start + size])
    heard = reader.take()
    assert (heard.text, heard.tokens, heard.finish, reader.done, reader.plain) == ("Hello ä", 2, "stop", True, True)
    assert reader.take().text == ""


def test_a_chats_answer_is_read_from_its_deltas() -> None:
    reader = EventReader()
    reader.feed(b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n')
    reader.feed(b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\ndata: {"choices": [], "usage": {}}\n')
    assert (reader.heard.text, reader.heard.tokens) == ("hi", 1)


@pytest.mark.parametrize("more", [{"index": 1}, {"delta": {"tool_calls": [{}]}}])
def test_an_answer_that_is_more_than_one_text_is_known(more: dict[str, Any]) -> None:
    reader = EventReader()
    reader.feed(event("a", **more))
    assert not reader.plain


def test_what_is_no_completion_has_no_text() -> None:
    reader = EventReader()
    reader.feed(b"data: {]\ndata: []\ndata: 3\n: a comment\n\n")
    assert (reader.heard.text, reader.done) == ("", False)
    assert finish_of(b"nonsense") == "stop"
    assert finish_of(b'{"choices": [{"finish_reason": "length"}]}') == "length"


# The middleware


class DynamoDB:
    """As much of boto3's client as is used. `fails` with an error, `waits` for an event first."""

    class exceptions:  # noqa: N801 - as boto3 calls it
        class ConditionalCheckFailedException(Exception):  # noqa: N818
            """As boto3 has it."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.fails: Exception | None = None
        self.changes: list[dict[str, Any]] = []

    def batch_write_item(self, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:  # noqa: N803
        self._fail()
        for each in RequestItems["requests"]:
            self._put(each["PutRequest"]["Item"])
        return {}

    def put_item(self, TableName: str, Item: Item, ConditionExpression: str) -> None:  # noqa: N803
        self._fail()
        if (Item["pk"]["S"], Item["sk"]["S"]) in self.items:
            raise self.exceptions.ConditionalCheckFailedException
        self._put(Item)

    def get_item(self, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        self._fail()
        found = self.items.get((Key["pk"]["S"], Key["sk"]["S"]))
        return {"Item": found} if found else {}

    def delete_item(self, Key: Item, ExpressionAttributeValues: dict[str, Item], **_: Any) -> None:  # noqa: N803
        self._fail()
        stands = self.items.get((Key["pk"]["S"], Key["sk"]["S"]), {})
        if any(stands.get(name.removeprefix(":")) != value for name, value in ExpressionAttributeValues.items()):
            raise self.exceptions.ConditionalCheckFailedException
        del self.items[Key["pk"]["S"], Key["sk"]["S"]]

    def update_item(self, Key: Item, ExpressionAttributeValues: dict[str, Item], **_: Any) -> None:  # noqa: N803
        self._fail()
        values = {name.removeprefix(":"): value for name, value in ExpressionAttributeValues.items()}
        del values["ours"], values["accepted"]
        head = self.items[Key["pk"]["S"], "HEAD"]
        if head["state"]["S"] != "accepted":
            raise self.exceptions.ConditionalCheckFailedException
        head |= values

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, ExpressionAttributeValues: dict[str, Item], **_: Any) -> list[dict[str, Any]]:  # noqa: N803
        self._fail()
        pk, first, last = (ExpressionAttributeValues[name]["S"] for name in (":pk", ":first", ":last"))
        found = [value for (name, sk), value in sorted(self.items.items()) if name == pk and first <= sk <= last]
        return [{"Items": found}]

    def heads(self) -> list[Item]:
        return [value for (_, sk), value in self.items.items() if sk == "HEAD"]

    def _put(self, item: Item) -> None:
        self.items[item["pk"]["S"], item["sk"]["S"]] = item

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails


class Client:
    """Sends one request at a time through the middleware round `app`, and keeps what is answered."""

    def __init__(self, app: Any, table: DynamoDB, **settings: Any) -> None:
        known = {"accept_seconds": 60.0, "piece_seconds": 3600.0, "linger_seconds": 0.0}
        self.journal = RequestJournal(Settings(table="requests", scope="us-east-1", **{**known, **settings}), table)
        self._app = JournalMiddleware(app, self.journal)

    async def send(
        self, method: str = "POST", path: str = "/v1/completions", body: bytes = b"{}", query: str = "", **headers: Any
    ) -> tuple[int, dict[str, str], bytes]:
        told: list[Any] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if not given:
                await asyncio.Event().wait()
            return given.pop()

        async def send(message: Any) -> None:
            told.append(message)

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
        await self._app(scope, receive, send)
        got = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        return told[0]["status"], got, b"".join(message.get("body", b"") for message in told[1:])

    async def poll(self, request_id: str, query: str = "", **headers: Any) -> tuple[int, Any]:
        while self.journal._behind:
            await asyncio.gather(*self.journal._behind)
        status, _, body = await self.send("GET", REQUESTS + request_id, query=query, **headers)
        return status, json.loads(body)


def answers(*pieces: bytes, status: int = 200, kind: bytes = b"text/event-stream", **more: Any) -> Any:
    """An application that answers so, then raises what `then` is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"{}"
        if status:
            headers = [(b"content-type", kind), *more.get("headers", ())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(pieces):
            last = number + 1 == len(pieces) and "then" not in more
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
        if "then" in more:
            raise more["then"]

    return app


def played(client: Client, play: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await client.journal.start()
        await play()
        await client.journal.close()

    asyncio.run(all_of_it())


def test_a_streamed_answer_passes_as_it_is_and_is_told_once_it_has_ended() -> None:
    client = Client(answers(STREAM[:20], STREAM[20:]), DynamoDB())

    async def play() -> None:
        status, headers, body = await client.send()
        assert (status, body) == (200, STREAM)
        request_id = headers["x-standfast-request"]
        assert await client.poll(request_id) == (200, {
            "id": request_id, "state": "ended", "finish_reason": "stop", "kept": True, "text": "Hello ä",
            "restated": False,
        })  # fmt: skip

    played(client, play)


def test_a_client_that_has_a_part_is_given_the_rest_or_the_whole_where_its_part_is_another() -> None:
    client = Client(answers(STREAM), DynamoDB())

    async def play() -> None:
        _, headers, _ = await client.send()
        request_id = headers["x-standfast-request"]
        for had, text, restated in (("Hel", "lo ä", False), ("Hal", "Hello ä", True)):
            digest = hashlib.sha256(had.encode()).hexdigest()
            _, told = await client.poll(request_id, f"after=3&sha256={digest}")
            assert (told["text"], told["restated"]) == (text, restated)

    played(client, play)


def test_an_answer_that_breaks_off_is_open_until_others_end_it() -> None:
    table = DynamoDB()
    client = Client(answers(STREAM[:60], then=ConnectionResetError("gone")), table)

    async def play() -> None:
        with pytest.raises(ConnectionResetError):
            await client.send()
        [head] = table.heads()
        assert head["state"]["S"] == "interrupted"
        assert await client.poll(head["request_id"]["S"]) == (202, {"id": head["request_id"]["S"], "state": "open"})

    played(client, play)


def test_a_server_that_is_gone_before_its_first_byte_is_a_502_that_says_where_to_ask() -> None:
    table = DynamoDB()
    client = Client(answers(status=0, then=ConnectionRefusedError("gone")), table)

    async def play() -> None:
        status, headers, body = await client.send()
        assert status == 502
        assert f"ask for it at {REQUESTS}{headers['x-standfast-request']}" in json.loads(body)["error"]["message"]
        assert table.heads()[0]["state"]["S"] == "interrupted"

    played(client, play)


@pytest.mark.parametrize(
    ("status", "headers", "state"),
    [
        (502, (), "interrupted"),
        (503, ((b"retry-after", b"5"),), "incomplete"),
        (400, (), "ended"),
    ],
)
def test_a_status_is_passed_on_and_what_it_means_for_the_request_written_down(
    status: int, headers: Any, state: str
) -> None:
    table = DynamoDB()
    client = Client(answers(b'{"error": {}}', status=status, kind=b"application/json", headers=headers), table)

    async def play() -> None:
        answered, _, body = await client.send()
        assert (answered, body) == (status, b'{"error": {}}')
        await client.poll("nobody's")
        assert table.heads()[0]["state"]["S"] == state

    played(client, play)


def test_an_answer_that_comes_at_once_is_told_as_it_was() -> None:
    answer = {"choices": [{"text": "hi", "finish_reason": "length"}]}
    client = Client(answers(json.dumps(answer).encode(), kind=b"application/json"), DynamoDB())

    async def play() -> None:
        _, headers, _ = await client.send()
        _, told = await client.poll(headers["x-standfast-request"])
        assert (told["body"], told["finish_reason"]) == (answer, "length")

    played(client, play)


def test_a_table_that_fails_lets_requests_be_served_and_says_so() -> None:
    table = DynamoDB()
    client = Client(answers(STREAM), table)

    async def play() -> None:
        table.fails = RuntimeError("throttled")
        status, headers, body = await client.send()
        assert (status, body) == (200, STREAM)
        assert headers["x-standfast-journal"] == "no"
        table.fails = None
        _, headers, _ = await client.send()  # at once: no other request waits for a table that has just failed
        assert headers["x-standfast-journal-reason"] == "the journal did not answer a moment ago"
        assert table.heads() == []

    played(client, play)


def test_a_table_that_fails_refuses_requests_where_the_gateway_is_told_so() -> None:
    table = DynamoDB()
    client = Client(answers(STREAM), table, serve_without=False)

    async def play() -> None:
        table.fails = RuntimeError("throttled")
        status, headers, body = await client.send()
        assert (status, headers["retry-after"]) == (503, "5")
        assert "not accepted" in json.loads(body)["error"]["message"]
        table.fails = None

    played(client, play)


def test_a_gateway_that_gave_no_sign_of_life_accepts_nothing_into_the_journal() -> None:
    """Nobody could tell that it is gone: its requests would be nobody's."""
    table = DynamoDB()
    table.fails = RuntimeError("no answer")
    client = Client(answers(STREAM), table)

    async def play() -> None:
        table.fails = None
        _, headers, _ = await client.send()
        assert headers["x-standfast-journal-reason"] == "the journal has no sign of life of this gateway"

    played(client, play)


def test_the_same_key_twice_says_where_to_ask_and_another_request_under_it_is_refused() -> None:
    client = Client(answers(STREAM), DynamoDB())

    async def play() -> None:
        _, first, _ = await client.send(idempotency_key="k")
        status, second, _ = await client.send(idempotency_key="k")
        assert (status, second["x-standfast-request"]) == (409, first["x-standfast-request"])
        assert second["location"] == REQUESTS + first["x-standfast-request"]
        status, _, body = await client.send(body=b"other", idempotency_key="k")
        assert status == 422
        assert "take another key" in json.loads(body)["error"]["message"]

    played(client, play)


def test_nobody_is_told_of_anothers_request() -> None:
    client = Client(answers(STREAM), DynamoDB())

    async def play() -> None:
        _, headers, _ = await client.send(authorization="Bearer alice")
        assert (await client.poll(headers["x-standfast-request"], authorization="Bearer bob"))[0] == 404
        assert (await client.poll(headers["x-standfast-request"], authorization="Bearer alice"))[0] == 200

    played(client, play)


def test_what_is_no_completion_is_left_alone() -> None:
    table = DynamoDB()
    client = Client(answers(b"{}", kind=b"application/json"), table)

    async def play() -> None:
        _, headers, _ = await client.send(path="/v1/embeddings")
        assert "x-standfast-request" not in headers
        assert table.heads() == []

    played(client, play)


def test_neither_prompt_nor_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    table = DynamoDB()
    caplog.set_level("DEBUG", "standfast_gateway")
    client = Client(answers(event("a secret"), then=ConnectionResetError("gone")), table)

    async def play() -> None:
        with pytest.raises(ConnectionResetError):
            await client.send()
        table.fails = RuntimeError("throttled")
        with pytest.raises(ConnectionResetError):
            await client.send()
        table.fails = None

    played(client, play)
    assert "secret" not in caplog.text
