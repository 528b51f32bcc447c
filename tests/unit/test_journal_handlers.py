"""The functions of both journals: what they parse, whom they ask and what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from backup import journal_state
from in_flight import answer_requests, checkpoint, copy_requests, resume_requests
from standfast import bootstrap, bootstrap_journals, bootstrap_regions
from standfast.errors import CorruptStateError, InvalidInputError
from standfast.journal import COMPLETIONS, Head, Serving, State
from standfast.region_ports import RegionRecord
from standfast.state_journal import Change
from tests import builders
from tests.adapters.test_request_copies import record as request_record
from tests.journal_fakes import Echo, MemoryJournal, asks, whole
from tests.machine_walk import Context
from tests.model_fakes import FakeModelStore
from tests.region_builders import fleet_of
from tests.unit.test_request_copies import condemned, head_of
from tests.unit.test_stream_records import record

NOW, SCOPE, OTHER = builders.NOW, builders.SCOPE, "us-west-2"


@dataclass
class World:
    """All ports of the functions, and what they were told."""

    requests: MemoryJournal = field(default_factory=MemoryJournal)
    pieces: list[tuple[str, Sequence[Change]]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    said: Serving | None = None
    record: RegionRecord = field(default_factory=RegionRecord)
    copied: list[str] = field(default_factory=list)

    def read_regions(self) -> RegionRecord:
        return self.record

    def copies_in(self, region: str) -> Copies:
        return Copies(region, self.copied)

    def write(self, table: str, changes: Sequence[Change]) -> bool:
        self.pieces.append((table, changes))
        return True

    def start(self, reason: str) -> None:
        self.started.append(reason)

    def put(self, figures: dict[str, float], now: float) -> None:
        self.figures |= figures


@dataclass
class Copies:
    """RequestCopies that says what it was given."""

    region: str
    told: list[str]

    def write(self, item: Any) -> bool:
        self.told.append(f"{self.region} {item['sk']['S']}")
        return True

    write_head = write

    def forget(self, partition: str) -> None:
        self.told.append(f"{self.region} forgets {partition}")

    def settle(self, head: Any, pieces: Sequence[Any]) -> bool:
        self.told.append(f"{self.region} settles with {len(pieces)}")
        return True


class Clock:
    time = NOW

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class Long(Context):
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made, clock = World(), Clock()
    settings = SimpleNamespace(region=SCOPE, table="chat-ClusterTable-1ABC", region_table="chat-regions")
    applied = SimpleNamespace(config=fleet_of(SCOPE, OTHER, model={"name": "tiny", "engine": "vllm", "version": "v1"}))
    made.requests.write_serving = lambda _, serving, __: setattr(made, "said", serving)  # type: ignore[attr-defined]
    made.requests.read_serving = lambda _: made.said  # type: ignore[attr-defined]
    for name, port in {
        "settings": settings,
        "clock": clock,
        "metrics": made,
        "cluster_table": SimpleNamespace(read_config=lambda: applied),
        "model_store": FakeModelStore(),
    }.items():
        monkeypatch.setattr(bootstrap, name, lambda *_, port=port: port)
    for name, journal_port in {
        "state_journal": made,
        "requests": made.requests,
        "resumptions": made,
        "completer": Echo(),
    }.items():
        monkeypatch.setattr(bootstrap_journals, name, lambda *_, port=journal_port: port)
    made.requests.answer_of = lambda _: [{}, {}]  # type: ignore[attr-defined]
    monkeypatch.setattr(bootstrap_journals, "copies_in", made.copies_in)
    monkeypatch.setattr(bootstrap_regions, "region_states", lambda: made)
    return made


def open_request(world: World, name: str, state: State, scope: str = SCOPE) -> None:
    serving = str(Serving("tiny", "v1", "", "vllm"))
    head = Head(name, state, 1, "gateway", scope, COMPLETIONS, serving, NOW - 5, NOW + 1000)
    world.requests.accept(head, asks("q", 4))


def test_a_batch_of_changes_becomes_a_piece_and_says_how_late_it_is(world: World) -> None:
    at = NOW - 3
    answer = journal_state.handler({"Records": [record(ApproximateCreationDateTime=at)] * 2}, None)
    assert answer == {"changes": 2, "pieces": 1}
    [(table, changes)] = world.pieces
    assert (table, len(changes)) == ("cluster", 2)
    assert world.figures == {"StateChangesJournalled": 2, "StateJournalLagSeconds": 3.0}


def test_changes_of_two_hours_become_two_pieces(world: World) -> None:
    times = (NOW - NOW % 3600 - 1, NOW)
    answer = journal_state.handler({"Records": [record(ApproximateCreationDateTime=at) for at in times]}, None)
    assert answer == {"changes": 2, "pieces": 2}


def test_a_record_of_another_table_is_written_nowhere(world: World) -> None:
    with pytest.raises(CorruptStateError):
        journal_state.handler({"Records": [record(), record(table="orders")]}, None)
    assert world.pieces == []


def test_a_failover_starts_the_answering_and_does_not_wait(world: World) -> None:
    assert resume_requests.handler({"reason": "use1-a is dead", "token": 7}, None) == {"started": True}
    assert world.started == ["use1-a is dead"]
    with pytest.raises(InvalidInputError, match="reason"):
        resume_requests.handler({}, None)


def test_what_was_cut_off_is_answered_and_counted(world: World) -> None:
    open_request(world, "r", State.INTERRUPTED)
    answer = answer_requests.handler({"reason": "use1-a is dead"}, Long())
    assert answer == {"reason": "use1-a is dead", "replay": 1, "ended": 1, "left_open": 0}
    assert world.requests.text("r") == whole("q", 4)
    assert world.figures == {"RequestsReplay": 1, "RequestsEnded": 1, "RequestsLeftOpen": 0}


def test_a_pace_that_is_none_is_refused_by_its_name(world: World) -> None:
    with pytest.raises(InvalidInputError, match="per_second"):
        answer_requests.handler({"reason": "why", "per_second": 0}, Long())


def test_a_checkpoint_says_what_is_served_counts_and_has_what_waits_answered(world: World) -> None:
    open_request(world, "a", State.INTERRUPTED)
    open_request(world, "b", State.ACCEPTED)
    world.requests.beats["gateway"] = NOW + 5
    answer = checkpoint.handler({}, None)
    assert (answer["waiting"], [each["request_id"] for each in answer["open"]]) == (1, ["a", "b"])
    assert world.said == Serving("tiny", "v1", "", "vllm")
    assert world.figures == {"RequestsOpen": 2, "RequestsWaiting": 1, "OldestWaitingSeconds": 5.0}
    assert world.started == ["requests that wait for an owner: 1"]


def test_a_checkpoint_with_nothing_that_waits_starts_nothing(world: World) -> None:
    checkpoint.handler({}, None)
    assert world.started == []


def test_the_requests_of_a_condemned_region_are_answered_by_the_next(world: World) -> None:
    open_request(world, "r", State.INTERRUPTED, OTHER)
    assert answer_requests.handler({"reason": "why"}, Long())["left_open"] == 0
    assert world.requests.heads["r"].state is State.INTERRUPTED
    world.record = condemned(OTHER, until=NOW + 1e6)
    checkpoint.handler({}, None)
    assert world.figures["RequestsWaiting"] == 1
    assert world.figures["RequestsOpen"] == 0
    answer = answer_requests.handler({"reason": "why"}, Long())
    assert answer["ended"] == 1
    assert world.requests.text("r") == whole("q", 4)


def test_a_condemned_region_answers_nothing(world: World) -> None:
    open_request(world, "r", State.INTERRUPTED)
    world.record = condemned(SCOPE, until=NOW + 1e6)
    answer = checkpoint.handler({}, None)
    assert ([each["request_id"] for each in answer["open"]], world.started) == (["r"], [])
    assert answer_requests.handler({"reason": "why"}, Long()) == {"reason": "why", "left_open": 0}
    assert world.requests.heads["r"].state is State.INTERRUPTED


def test_changes_are_copied_to_the_next_region_heads_last_and_ends_go_home(world: World) -> None:
    body = {"pk": {"S": "REQUEST#1"}, "sk": {"S": "BODY"}}
    ended = head_of("ended", copy_of=OTHER, taken_by=SCOPE) | {"pk": {"S": "REQUEST#2"}}
    records = [
        request_record("INSERT", ("REQUEST#1", "HEAD"), head_of()),
        request_record("INSERT", ("REQUEST#1", "BODY"), body),
        request_record("REMOVE", ("REQUEST#3", "HEAD")),
        request_record("MODIFY", ("REQUEST#2", "HEAD"), ended),
    ]
    answer = copy_requests.handler({"Records": records}, None)
    assert answer == {"written": 2, "refused": 0, "settled": 1}
    assert world.copied == [
        f"{OTHER} BODY", f"{OTHER} HEAD", f"{OTHER} forgets REQUEST#3", f"{OTHER} settles with 2"
    ]  # fmt: skip
    assert world.figures == {"RequestCopyLagSeconds": 0.0}
