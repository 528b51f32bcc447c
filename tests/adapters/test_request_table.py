"""RequestJournal on DynamoDB: what a gateway writes Standfast reads, and what Standfast ends a gateway tells."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from standfast.aws.request_table import RequestTable
from standfast.errors import CorruptStateError, FencedError
from standfast.journal import COMPLETIONS, Emitted, Head, Serving, State
from standfast_gateway import RequestJournal, Settings, UnavailableError
from standfast_gateway.events import Heard
from standfast_gateway.journal import Entry, Repeated

SCOPE, NAME = "us-east-1", "chat-requests"
BODY = b'{"prompt": "a secret of somebody", "max_tokens": 5}'


def make_table(dynamodb: Any, name: str) -> None:
    """As stacks/requests.yaml makes it, but for its stream."""
    attributes = {"pk": "S", "sk": "S", "open_in": "S", "accepted_at": "N"}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in attributes.items()],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "open",
                "KeySchema": [
                    {"AttributeName": "open_in", "KeyType": "HASH"},
                    {"AttributeName": "accepted_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


@pytest.fixture
def client(dynamodb: Any) -> Iterator[Any]:
    make_table(dynamodb, NAME)
    yield dynamodb
    dynamodb.delete_table(TableName=NAME)


@asynccontextmanager
async def gateway(client: Any, **changes: Any) -> AsyncIterator[RequestJournal]:
    # Nothing here depends on how quick the machine is.
    settings = {"accept_seconds": 60.0, "piece_seconds": 3600.0, "linger_seconds": 0.0, **changes}
    journal = RequestJournal(Settings(table=NAME, scope=SCOPE, name="gateway-1", **settings), client)
    await journal.start()
    try:
        yield journal
    finally:
        await journal.close()


def played(client: Any, play: Callable[[RequestJournal, RequestTable], Awaitable[None]], **changes: Any) -> None:
    """Plays with a gateway's journal and Standfast's, on one table."""

    async def run() -> None:
        async with gateway(client, **changes) as journal:
            await play(journal, RequestTable(NAME, SCOPE, client))

    asyncio.run(run())


async def accepted(journal: RequestJournal, **more: Any) -> Entry:
    entry = await journal.accept(COMPLETIONS, BODY, **more)
    assert isinstance(entry, Entry)
    return entry


async def only(table: RequestTable) -> Head:
    [head] = await table.open_heads(SCOPE)
    return head


async def told(journal: RequestJournal, entry: Entry) -> tuple[str, str]:
    """State and text, once what is written in the background is written."""
    while journal._behind:
        await asyncio.gather(*journal._behind)
    found = await journal.tell(entry.request_id)
    assert found is not None
    return found.state, found.text


def test_what_a_gateway_accepted_standfast_finds_with_its_body_and_its_gateway(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        table.write_serving(SCOPE, Serving("tiny", "v1", "abc", "vllm"), 0.0)
        assert table.read_serving(SCOPE) == Serving("tiny", "v1", "abc", "vllm")
        assert table.read_serving("eu-west-1") is None
        await journal._beat()
        entry = await accepted(journal)
        head = await only(table)
        assert (head.request_id, head.state, head.token, head.owner) == (
            entry.request_id, State.ACCEPTED, 1, "gateway-1",
        )  # fmt: skip
        assert (head.scope, head.path, head.serving) == (SCOPE, COMPLETIONS, "tiny v1 abc")
        assert head.expires_at - head.accepted_at == pytest.approx(3600, abs=1)
        assert await table.read_body(entry.request_id) == BODY
        assert (await table.gateways({"gateway-1", "unheard of"})).keys() == {"gateway-1"}
        await journal.end(entry)

    played(client, play)


def test_progress_that_was_written_is_read_in_order(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        entry = await accepted(journal)
        for text in ("one ", "two ", "three"):
            entry.add(Heard(text, 1))
            await journal._write_pieces()
        assert await table.read_emitted(entry.request_id, 9) == Emitted("one two three", 3)
        await journal.end(entry)

    played(client, play)


def test_an_answer_that_ended_is_told_and_leaves_the_open_ones(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        entry = await accepted(journal)
        entry.add(Heard("whole", 1, "stop"))
        await journal.end(entry)
        assert await told(journal, entry) == ("ended", "whole")
        assert await table.open_heads(SCOPE) == []

    played(client, play)


def test_a_request_that_was_cut_off_is_claimed_once_goes_on_and_is_told_whole(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        entry = await accepted(journal)
        entry.add(Heard("half ", 1))
        await journal.interrupt(entry)
        head = await only(table)
        assert head.state is State.INTERRUPTED
        claims = await asyncio.gather(*(table.claim(head, f"resumer {number}", 2e9) for number in range(5)))
        [claimed] = [claim for claim in claims if claim is not None]
        assert (claimed.token, claimed.state) == (2, State.CLAIMED)
        emitted = await table.read_emitted(entry.request_id, 2)
        await table.write_emitted(entry.request_id, 2, 0, emitted, head.expires_at)
        await table.write_emitted(entry.request_id, 2, 1, Emitted("and half", 2, "stop"), head.expires_at)
        await table.renew(entry.request_id, 2, 2e9)
        assert await told(journal, entry) == ("claimed", "")
        await table.end(entry.request_id, 2, 2, "stop", 1.8e9)
        assert await told(journal, entry) == ("ended", "half and half")
        assert await table.open_heads(SCOPE) == []

    played(client, play)


def test_who_was_outrun_changes_nothing(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        entry = await accepted(journal)
        claimed = await table.claim(await only(table), "resumer", 2e9)
        assert claimed is not None
        entry.add(Heard("late", 1))
        await journal.end(entry)
        assert await told(journal, entry) == ("claimed", "")
        await table.let_go(entry.request_id, 2)
        again = await table.claim(await only(table), "another", 2e9)
        assert again is not None
        for late in (
            table.renew(entry.request_id, 2, 3e9),
            table.let_go(entry.request_id, 2),
            table.end(entry.request_id, 2, 0, "stop", 1.8e9),
            table.give_up(entry.request_id, 2, "why", 1.8e9),
        ):
            with pytest.raises(FencedError, match="is claimed under token 3, not open under 2"):
                await late
        await table.give_up(entry.request_id, 3, "send it again", 1.8e9)
        with pytest.raises(FencedError, match="is incomplete under token 3"):
            await table.end(entry.request_id, 3, 0, "stop", 1.8e9)
        found = await journal.tell(entry.request_id)
        assert found is not None
        assert (found.state, found.reason) == ("incomplete", "send it again")

    played(client, play)


def test_text_is_read_up_to_the_first_piece_that_is_missing(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        for number, text in ((0, "a"), (1, "b"), (3, "d")):
            await table.write_emitted("r", 1, number, Emitted(text, 1), 2e9)
        await table.write_emitted("r", 2, 1, Emitted("without a beginning", 1), 2e9)
        assert await table.read_emitted("r", 2) == Emitted("ab", 2)
        await table.write_emitted("r", 2, 0, Emitted("x", 1), 2e9)
        assert (await table.read_emitted("r", 2)).text == "xwithout a beginning"
        assert (await table.read_emitted("r", 1)).text == "ab"
        assert await table.read_emitted("nobody's", 1) == Emitted()

    played(client, play)


def test_a_body_that_is_missing_is_said(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        with pytest.raises(CorruptStateError, match="request r has no body"):
            await table.read_body("r")

    played(client, play)


def test_the_same_key_of_the_same_caller_is_the_same_request(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        first = await accepted(journal, caller="alice", key="k")
        assert await journal.accept(COMPLETIONS, BODY, caller="alice", key="k") == Repeated(first.request_id, True)
        assert await journal.accept(COMPLETIONS, b"{}", caller="alice", key="k") == Repeated(first.request_id, False)
        other = await accepted(journal, caller="bob", key="k")
        assert other.request_id != first.request_id
        assert await table.read_body(first.request_id) == BODY
        assert await journal.tell(first.request_id, caller="bob") is None

    played(client, play)


def test_a_second_request_under_a_key_that_cannot_be_written_leaves_the_first_alone(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        first = await accepted(journal, key="k")

        async def fail(item: Any) -> bool:
            raise UnavailableError("throttled")

        journal._calls.put_new = fail  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="throttled"):
            await journal.accept(COMPLETIONS, BODY, key="k")
        while journal._behind:
            await asyncio.gather(*journal._behind)
        assert (await only(table)).request_id == first.request_id

    played(client, play)


def test_a_request_that_was_written_too_late_to_be_accepted_is_forgotten(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        written = journal._calls.put_new

        async def late(item: Any) -> bool:
            await written(item)
            raise UnavailableError("no answer")

        journal._calls.put_new = late  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="no answer"):
            await journal.accept(COMPLETIONS, BODY, key="k")
        while journal._behind:
            await asyncio.gather(*journal._behind)
        assert await table.open_heads(SCOPE) == []

    played(client, play)


def test_a_gateway_that_closes_hands_its_requests_over(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        await accepted(journal)
        await journal.close()
        assert (await only(table)).state is State.INTERRUPTED

    async def run() -> None:
        journal = RequestJournal(Settings(table=NAME, scope=SCOPE, accept_seconds=60.0), client)
        await journal.start()
        await play(journal, RequestTable(NAME, SCOPE, client))

    asyncio.run(run())


def test_an_answer_that_came_at_once_is_told_as_it_was(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        entry = await accepted(journal)
        await journal.end(entry, finish="stop", raw=b'{"choices": []}')
        await told(journal, entry)
        found = await journal.tell(entry.request_id)
        assert found is not None
        assert (found.state, found.body, found.kept) == ("ended", b'{"choices": []}', True)

    played(client, play)


def test_a_request_that_no_item_can_hold_is_not_journalled(client: Any) -> None:
    async def play(journal: RequestJournal, table: RequestTable) -> None:
        noise = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(16_000))
        with pytest.raises(UnavailableError, match="more than an item may have"):
            await journal.accept(COMPLETIONS, noise)

    played(client, play)
