"""The functions of both journals: what they parse, whom they ask and what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from backup import journal_state
from in_flight import answer_requests, checkpoint, resume_requests
from standfast import bootstrap, bootstrap_journals
from standfast.errors import CorruptStateError, InvalidInputError
from standfast.journal import COMPLETIONS, Head, Serving, State
from standfast.state_journal import Change
from tests import builders
from tests.journal_fakes import Echo, MemoryJournal, asks, whole
from tests.machine_walk import Context
from tests.model_fakes import FakeModelStore
from tests.unit.test_stream_records import record

NOW, SCOPE = builders.NOW, builders.SCOPE


@dataclass
class World:
    """All ports of the functions, and what they were told."""

    requests: MemoryJournal = field(default_factory=MemoryJournal)
    pieces: list[tuple[str, Sequence[Change]]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    said: Serving | None = None

    def write(self, table: str, changes: Sequence[Change]) -> bool:
        self.pieces.append((table, changes))
        return True

    def start(self, reason: str) -> None:
        self.started.append(reason)

    def put(self, figures: dict[str, float], now: float) -> None:
        self.figures |= figures


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
    applied = SimpleNamespace(config=builders.fleet(model={"name": "tiny", "engine": "vllm", "version": "v1"}))
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
    return made


def open_request(world: World, name: str, state: State) -> None:
    serving = str(Serving("tiny", "v1", "", "vllm"))
    head = Head(name, state, 1, "gateway", SCOPE, COMPLETIONS, serving, NOW - 5, NOW + 1000)
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
