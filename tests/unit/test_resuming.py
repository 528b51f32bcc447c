"""Requests come back: none is lost, none ends twice, whoever crashes wherever, and whoever else claims it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from standfast.errors import ThrottledError, UnavailableError
from standfast.journal import COMPLETIONS, Action, Emitted, Head, Limits, Serving, State, may_claim
from standfast.resuming import Resumer
from standfast.resuming_pace import Headroom, Pace
from tests.journal_fakes import Echo, MemoryJournal, asks, whole

NOW = 1_800_000_000.0
SCOPE = "us-east-1"
SERVING = Serving("tiny", "v1", "", "llama.cpp")
LIMITS = Limits(attempts=4, claim_seconds=10.0)
TOKENS = 4
USUAL = Pace()


class HandClock:
    """Time that passes when told to; who waits lets others run."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


def head(name: str, state: State = State.ACCEPTED, **changes: Any) -> Head:
    made = Head(name, state, 1, "gateway", SCOPE, COMPLETIONS, str(SERVING), NOW, NOW + 10_000)
    return replace(made, **changes)


def resumer(journal: MemoryJournal, service: Echo, clock: HandClock, name: str = "one", pace: Pace = USUAL) -> Resumer:
    return Resumer(name, SCOPE, (SCOPE,), journal, service, SERVING, clock, limits=LIMITS, pace=pace)


class _Turn(Awaitable[None]):
    def __await__(self) -> Generator[None, None, None]:
        yield


async def turn() -> None:
    await _Turn()


class Requests(RuleBasedStateMachine):
    """A gateway, and as many resumers as there are, each stopped between any two calls, and perhaps never to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.journal, self.service, self.clock = MemoryJournal(turn), Echo(turn), HandClock()
        self.journal.beats["gateway"] = NOW + 1e9
        self.accepted: dict[str, str] = {}
        self.sent: dict[str, int] = {}
        self.given: dict[str, str] = {}
        self.runs: list[Coroutine[Any, Any, None]] = []

    @rule(structured=st.booleans())
    def accept(self, structured: bool) -> None:
        name = f"r{len(self.accepted)}"
        self.accepted[name], self.sent[name] = f"prompt {name} ", 0
        more = {"response_format": {"type": "json_object"}} if structured else {}
        self.journal.accept(head(name, accepted_at=self.clock.time), asks(self.accepted[name], TOKENS, **more))

    def _the_gateways(self, name: str) -> bool:
        stands = self.journal.heads[name]
        return stands.token == 1 and stands.state is State.ACCEPTED

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def the_gateway_sends_a_token(self, data: st.DataObject) -> None:
        """It may have lost the request and not know it."""
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        answer, number = whole(self.accepted[name], TOKENS), self.sent[name]
        if number < TOKENS:
            self.journal.pieces[name, 1, number] = Emitted(answer[number], 1)
            self.sent[name] += 1

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def the_gateway_ends_a_request(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        if self.sent[name] == TOKENS and self._the_gateways(name):
            _to_the_end(self.journal.end(name, 1, TOKENS, "length", self.clock.time))

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def a_stream_is_cut(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        if self._the_gateways(name):
            _to_the_end(self.journal.let_go(name, 1))

    @rule(alive=st.booleans())
    def the_gateway_lives_or_not(self, alive: bool) -> None:
        self.journal.beats["gateway"] = NOW + 1e9 if alive else NOW - 1

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.time += seconds

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def somebody_begins_to_resume(self, data: st.DataObject) -> None:
        found = self.journal.heads[data.draw(st.sampled_from(sorted(self.accepted)))]
        alive = self.journal.beats["gateway"] > self.clock.time
        if may_claim(found, alive, self.clock.time).action is Action.CLAIM:
            name = f"resumer {len(self.runs)}"
            self.runs.append(resumer(self.journal, self.service, self.clock, name).resume(found))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), steps=st.integers(1, 6))
    def one_goes_on(self, data: st.DataObject, steps: int) -> None:
        chosen = data.draw(st.sampled_from(range(len(self.runs))))
        for _ in range(steps):
            if not _step(self.runs[chosen]):
                break

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def one_crashes(self, data: st.DataObject) -> None:
        _crash(self.runs[data.draw(st.sampled_from(range(len(self.runs))))])

    @rule(breaks_after=st.none() | st.integers(0, TOKENS))
    def the_service_is_well_or_not(self, breaks_after: int | None) -> None:
        self.service.breaks_after = breaks_after

    @invariant()
    def none_ends_twice(self) -> None:
        assert len(self.journal.ends) == len(set(self.journal.ends))

    @invariant()
    def what_a_client_is_given_is_whole_and_stays_the_same(self) -> None:
        for name in self.journal.answers:
            text = self.journal.text(name)
            assert text == whole(self.accepted[name], TOKENS)
            assert self.given.setdefault(name, text) == text

    @invariant()
    def what_is_incomplete_says_so(self) -> None:
        assert all("send it again" in reason for reason in self.journal.reasons.values())

    def teardown(self) -> None:
        """Everybody goes on or crashes, the gateway dies, and one more run finds the rest: no request is lost."""
        for run in self.runs:
            _crash(run)
        self.journal.turn = self.service.turn = _no_turn
        self.service.breaks_after = None
        self.journal.beats["gateway"] = NOW - 1
        self.clock.time += LIMITS.claim_seconds + 1
        last = resumer(self.journal, self.service, self.clock, "the last one")
        # Whoever sleeps moves the only clock: with many under way at once, hours go by.
        asyncio.run(last.run(self.clock.time + 1e6, accepted_before=self.clock.time + 1))
        for name in self.accepted:
            assert not self.journal.heads[name].state.is_open
        self.none_ends_twice()
        self.what_a_client_is_given_is_whole_and_stays_the_same()


async def _no_turn() -> None:
    await asyncio.sleep(0)


def _step(run: Coroutine[Any, Any, None]) -> bool:
    try:
        run.send(None)
    except (StopIteration, RuntimeError):  # RuntimeError: it was ended before
        return False
    return True


class _CrashError(BaseException):
    """The process is gone: no handler of ours sees it."""


def _crash(run: Coroutine[Any, Any, None]) -> None:
    with suppress(_CrashError, StopIteration, RuntimeError):
        run.throw(_CrashError())


def _to_the_end(run: Coroutine[Any, Any, None]) -> None:
    while _step(run):
        continue


Requests.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRequests = Requests.TestCase


def run(journal: MemoryJournal, service: Echo, clock: HandClock, pace: Pace = USUAL, until: float = 1000.0) -> Resumer:
    one = resumer(journal, service, clock, pace=pace)
    asyncio.run(one.run(clock.time + until, accepted_before=clock.time + 1))
    return one


def test_what_was_cut_off_goes_on_and_what_a_living_gateway_has_is_left() -> None:
    journal, service, clock = MemoryJournal(), Echo(), HandClock()
    journal.accept(head("cut", State.INTERRUPTED), asks("q", TOKENS))
    journal.accept(head("lives"), asks("q", TOKENS))
    journal.pieces["cut", 1, 0] = Emitted(whole("q", 2), 2)
    journal.beats["gateway"] = NOW + 1e9
    one = run(journal, service, clock, until=20.0)
    assert journal.text("cut") == whole("q", TOKENS)
    assert service.asked[0]["max_tokens"] == TOKENS - 2
    assert journal.heads["lives"].state is State.ACCEPTED
    assert one.resumed.counts == {"continue": 1, "ended": 1}
    assert one.resumed.left_open == 1


def test_no_more_are_begun_a_second_than_the_pace_allows() -> None:
    journal, service, clock = MemoryJournal(), Echo(), HandClock()
    for number in range(20):
        journal.accept(head(f"r{number}", State.INTERRUPTED), asks("q", TOKENS))
    began = clock.time
    one = run(journal, service, clock, Pace(per_second=2.0, at_first=20))
    assert one.resumed.counts["ended"] == 20
    assert clock.time - began >= 19 / 2.0


def test_no_more_are_at_work_than_the_pace_allows() -> None:
    at_work, most = 0, 0

    class Counting(Echo):
        async def stream(self, path: str, body: Any) -> Any:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            try:
                async for each in super().stream(path, body):
                    await asyncio.sleep(0)
                    yield each
            finally:
                at_work -= 1

    journal, clock = MemoryJournal(), HandClock()
    for number in range(12):
        journal.accept(head(f"r{number}", State.INTERRUPTED), asks("q", TOKENS))
    run(journal, Counting(), clock, Pace(per_second=1e9, at_once=3, late_seconds=1e9))
    assert most == 3


def test_a_request_that_the_service_breaks_off_again_and_again_is_said_to_be_incomplete() -> None:
    journal, clock = MemoryJournal(), HandClock()
    journal.accept(head("r", State.INTERRUPTED), asks("q", TOKENS))
    one = run(journal, Echo(breaks_after=0), clock)
    assert journal.heads["r"].state is State.INCOMPLETE
    assert journal.reasons["r"] == "it was tried 4 times and ended none of them: send it again"
    assert one.resumed.counts == {"given back": 3, "incomplete": 1}


def test_what_the_engine_refuses_is_incomplete_with_its_words() -> None:
    journal, clock = MemoryJournal(), HandClock()
    journal.accept(head("r", State.INTERRUPTED), asks("q", TOKENS))
    run(journal, Echo(refuses="the engine answered 400"), clock)
    assert journal.reasons["r"] == "the engine answered 400: send it again"


def test_a_request_without_a_body_is_incomplete() -> None:
    journal, clock = MemoryJournal(), HandClock()
    journal.accept(head("r", State.INTERRUPTED), b"")
    del journal.bodies["r"]
    run(journal, Echo(), clock)
    assert journal.reasons["r"] == "what was sent is not in the journal: send it again"


def test_a_journal_that_does_not_answer_leaves_the_claim_to_run_out() -> None:
    class Silent(MemoryJournal):
        async def read_body(self, request_id: str) -> bytes:
            raise UnavailableError("no answer")

        async def let_go(self, request_id: str, token: int) -> None:
            raise UnavailableError("no answer")

    journal, clock = Silent(), HandClock()
    journal.accept(head("r", State.INTERRUPTED), asks("q", TOKENS))
    one = run(journal, Echo(), clock, until=5.0)
    assert one.resumed.counts == {"given back": 1}
    assert journal.heads["r"].state is State.CLAIMED


def test_more_are_answered_at_once_while_they_begin_in_time_and_half_as_many_when_one_is_late() -> None:
    room = Headroom(Pace(at_first=4, at_once=6, late_seconds=1.0))
    for _ in range(4):
        room.began(0.2)
    assert 4.9 < room.limit < 5.0
    room.began(1.5)
    assert 2.4 < room.limit < 2.5
    for _ in range(100):
        room.began(0.2)
    assert room.limit == 6
    for _ in range(10):
        room.refused()
    room.at_work = 1
    assert (room.limit, room.has_room) == (1.0, False)


def test_what_is_turned_away_waits_and_is_no_try() -> None:
    class Busy(Echo):
        refusals = 10

        async def stream(self, path: str, body: Any) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise ThrottledError("the service is too busy (503)")
            async for each in super().stream(path, body):
                yield each

    journal, clock = MemoryJournal(), HandClock()
    journal.accept(head("r", State.INTERRUPTED), asks("q", TOKENS))
    one = run(journal, Busy(), clock)
    assert journal.text("r") == whole("q", TOKENS)
    assert journal.heads["r"].token == 2
    assert one.resumed.counts == {"turned away": 10, "replay": 1, "ended": 1}
