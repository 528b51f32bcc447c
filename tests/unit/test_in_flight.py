"""What is in flight: what is open, what waits for an owner, and that no text of anybody's is told of it."""

from __future__ import annotations

import asyncio
import json

from standfast import in_flight
from standfast.fleet import Model
from standfast.journal import COMPLETIONS, Emitted, Head, Serving, State
from standfast.served import served, serving_of
from tests.journal_fakes import MemoryJournal, asks
from tests.model_fakes import FakeModelStore

NOW, SCOPE = 1_800_000_000.0, "us-east-1"


def head(name: str, state: State, owner: str = "lives", **more: float) -> Head:
    return Head(name, state, 1, owner, SCOPE, COMPLETIONS, "tiny v1 -", NOW - 30, NOW + 3000, **more)


def test_what_nobody_has_waits_and_the_oldest_says_for_how_long() -> None:
    journal = MemoryJournal(beats={"lives": NOW + 5, "gone": NOW - 5})
    for each in (
        head("a", State.ACCEPTED),
        head("b", State.ACCEPTED, "gone"),
        head("c", State.INTERRUPTED),
        head("d", State.CLAIMED, "resumer", claimed_until=NOW + 5),
        head("e", State.ENDED),
    ):
        journal.accept(each, asks("a secret"))
        journal.pieces[each.request_id, 1, 0] = Emitted("a secret too", 3)
    found = asyncio.run(in_flight.look(journal, SCOPE, [SCOPE], NOW))
    assert [each.request_id for each in found.waiting] == ["b", "c"]
    assert found.figures(NOW) == {"RequestsOpen": 4, "RequestsWaiting": 2, "OldestWaitingSeconds": 30.0}
    document = found.document(NOW)
    assert [each["request_id"] for each in document["open"]] == ["a", "b", "c", "d"]
    assert "secret" not in json.dumps(document)


def test_nothing_in_flight_is_said_as_zeros() -> None:
    found = asyncio.run(in_flight.look(MemoryJournal(), SCOPE, [SCOPE], NOW))
    assert found.figures(NOW) == {"RequestsOpen": 0, "RequestsWaiting": 0, "OldestWaitingSeconds": 0.0}


def test_what_is_served_has_a_name_version_and_tokenizer_where_they_are_known() -> None:
    assert str(serving_of(Model(name="tiny", engine="vllm", version="v1"), "abc")) == "tiny v1 abc"
    assert str(serving_of(Model(name="tiny", engine="vllm"))) == "tiny - -"


def test_a_model_that_is_not_registered_is_served_all_the_same() -> None:
    assert served(Model(name="tiny", engine="vllm"), FakeModelStore()) == Serving("tiny", "", "", "vllm")
