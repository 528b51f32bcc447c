"""Requests in the next Region's table, on moto: what is copied can be answered there, and how it ended comes back."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from standfast import request_copies
from standfast.aws.request_copies import RequestTableElsewhere
from standfast.aws.request_table import RequestTable
from standfast.journal import COMPLETIONS, Emitted, State
from standfast_gateway import RequestJournal, Settings
from standfast_gateway.events import Heard
from tests.adapters.test_request_table import BODY, make_table

EAST, WEST = "us-east-1", "us-west-2"
NAMES = {EAST: "chat-requests-us-east-1", WEST: "chat-requests-us-west-2"}


@dataclass
class Regions:
    """Two tables, what their streams would say, and who copies from one to the other."""

    client: Any
    known: dict[str, dict[tuple[str, str], Any]] = field(default_factory=lambda: {EAST: {}, WEST: {}})

    def table(self, region: str) -> RequestTable:
        return RequestTable(NAMES[region], region, self.client)

    def changes(self, region: str) -> dict[str, Any]:
        """What changed since it was asked last, as the stream's event."""
        found = self.client.scan(TableName=NAMES[region], ConsistentRead=True)["Items"]
        items = {(item["pk"]["S"], item["sk"]["S"]): item for item in found}
        before, self.known[region] = self.known[region], items
        records = [
            record("MODIFY" if key in before else "INSERT", key, item)
            for key, item in items.items()
            if before.get(key) != item
        ]
        return {"Records": records + [record("REMOVE", key) for key in before if key not in items]}

    def copy(self, region: str) -> list[bool]:
        """As CopyRequests does, of all that changed."""
        event, to = self.changes(region), WEST if region == EAST else EAST
        if not event["Records"]:
            return []
        found = request_copies.copies_of(event, region)
        there = RequestTableElsewhere(NAMES[to], to, region, self.client)
        written = [*map(there.write, found.parts), *map(there.write_head, found.heads)]
        for partition in found.forgotten:
            there.forget(partition)
        for home, heads in found.settled.items():
            assert home == to
            written += [there.settle(head, self.table(region).answer_of(head)) for head in heads]
        return written

    def item(self, region: str, request_id: str) -> Any:
        key = {"pk": {"S": f"REQUEST#{request_id}"}, "sk": {"S": "HEAD"}}
        return self.client.get_item(TableName=NAMES[region], Key=key, ConsistentRead=True).get("Item")


def record(kind: str, key: tuple[str, str], item: Any = None, **more: Any) -> dict[str, Any]:
    """As Lambda hands it over: JSON, with bytes in base64."""
    written = {"Keys": {"pk": {"S": key[0]}, "sk": {"S": key[1]}}, "ApproximateCreationDateTime": 1_800_000_000}
    found = {"eventName": kind, "dynamodb": {**written, **({"NewImage": item} if item else {})}, **more}
    event: dict[str, Any] = json.loads(json.dumps(found, default=lambda value: base64.b64encode(value).decode()))
    return event


@pytest.fixture
def regions(dynamodb: Any) -> Iterator[Regions]:
    for name in NAMES.values():
        make_table(dynamodb, name)
    yield Regions(dynamodb)
    for name in NAMES.values():
        dynamodb.delete_table(TableName=name)


async def gateway(regions: Regions, region: str) -> RequestJournal:
    settings = Settings(
        table=NAMES[region], scope=region, name=f"gateway-{region}", accept_seconds=60.0, piece_seconds=3600.0,
        linger_seconds=0.0,
    )  # fmt: skip
    journal = RequestJournal(settings, regions.client)
    await journal.start()
    return journal


def test_what_was_accepted_is_answered_elsewhere_once_and_its_end_comes_back(regions: Regions) -> None:
    async def play() -> None:
        here, there = await gateway(regions, EAST), await gateway(regions, WEST)
        entry = await here.accept(COMPLETIONS, BODY)
        entry.add(Heard(text="Once", tokens=1))  # type: ignore[union-attr]
        await here._write_pieces()
        assert all(regions.copy(EAST))
        west = regions.table(WEST)
        assert (await west.gateways({"gateway-us-east-1"})).keys() == {"gateway-us-east-1"}
        [head] = await west.open_heads(EAST)
        assert await west.read_body(head.request_id) == BODY
        claimed = await west.claim(head, "answer-requests/1", 2e9)
        assert claimed is not None
        assert await west.read_emitted(head.request_id, claimed.token) == Emitted("Once", 1, "")
        await west.write_emitted(head.request_id, claimed.token, 0, Emitted("Once upon", 2, "stop"), 2e9)
        await west.end(head.request_id, claimed.token, 1, "stop", 1.0)
        found = await there.tell(head.request_id)
        assert found is not None
        assert (found.state, found.text) == ("ended", "Once upon")
        # The lost Region's last words come late, and change nothing.
        await here.interrupt(entry)  # type: ignore[arg-type]
        assert regions.copy(EAST).count(False) == 1
        assert (await there.tell(head.request_id)) == found
        # It is back: what was answered elsewhere is not answered again.
        regions.copy(WEST)
        assert await regions.table(EAST).open_heads(EAST) == []
        assert (await here.tell(head.request_id)) == found
        assert regions.copy(EAST) == []  # and nothing goes round in circles
        await here.close()
        await there.close()

    asyncio.run(play())


def test_an_answer_that_was_given_at_home_is_not_replaced(regions: Regions) -> None:
    async def play() -> None:
        here = await gateway(regions, EAST)
        entry = await here.accept(COMPLETIONS, BODY)
        regions.copy(EAST)
        west = regions.table(WEST)
        [head] = await west.open_heads(EAST)
        claimed = await west.claim(head, "answer-requests/1", 2e9)
        assert claimed is not None
        await west.write_emitted(head.request_id, claimed.token, 0, Emitted("Twice", 1, "stop"), 2e9)
        await west.end(head.request_id, claimed.token, 1, "stop", 1.0)
        entry.add(Heard(text="Once", tokens=1, finish="stop"))  # type: ignore[union-attr]
        await here.end(entry, finish="stop")  # type: ignore[arg-type]
        while here._behind:
            await asyncio.gather(*here._behind)
        assert regions.copy(WEST)[-1] is False
        found = await here.tell(head.request_id)
        assert found is not None
        assert found.text == "Once"
        await here.close()

    asyncio.run(play())


def test_a_request_that_was_never_accepted_is_forgotten_there_too(regions: Regions) -> None:
    async def play() -> None:
        here = await gateway(regions, EAST)
        entry = await here.accept(COMPLETIONS, BODY)
        regions.copy(EAST)
        await here._calls.forget(regions.item(EAST, entry.request_id))
        regions.copy(EAST)
        assert regions.item(WEST, entry.request_id) is None
        await here.close()

    asyncio.run(play())


def test_a_request_of_the_other_region_under_the_same_key_is_its_own(regions: Regions) -> None:
    async def play() -> None:
        here, there = await gateway(regions, EAST), await gateway(regions, WEST)
        one = await here.accept(COMPLETIONS, BODY, key="k")
        await there.accept(COMPLETIONS, b'{"prompt": "another"}', key="k")
        regions.changes(WEST)
        assert False in regions.copy(EAST)
        assert await regions.table(WEST).read_body(one.request_id) == b'{"prompt": "another"}'
        assert "copy_of" not in regions.item(WEST, one.request_id)
        await here.close()
        await there.close()

    asyncio.run(play())


def test_own_requests_bear_no_mark_of_another_region(regions: Regions) -> None:
    async def play() -> None:
        here = await gateway(regions, EAST)
        entry = await here.accept(COMPLETIONS, BODY)
        east = regions.table(EAST)
        [head] = await east.open_heads(EAST)
        assert (await east.claim(head, "answer-requests/1", 2e9)) is not None
        assert regions.item(EAST, entry.request_id)["state"]["S"] == State.CLAIMED
        assert "taken_by" not in regions.item(EAST, entry.request_id)
        await here.close()

    asyncio.run(play())
