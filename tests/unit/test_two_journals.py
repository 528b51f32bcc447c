"""Two Regions' journals with copies between: whatever is cut when, no answer that was given changes, none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from standfast.journal import Action, Emitted, State, may_claim
from tests.journal_fakes import Echo, MemoryJournal, asks, whole
from tests.unit.test_resuming import (
    LIMITS,
    NOW,
    TOKENS,
    HandClock,
    _crash,
    _no_turn,
    _step,
    _to_the_end,
    head,
    resumer,
    turn,
)


class TwoRegions(RuleBasedStateMachine):
    """A gateway in the east, whose requests are copied west; the east may be condemned, dead or only cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.east, self.west = MemoryJournal(turn), MemoryJournal(turn)
        self.service, self.clock = Echo(turn), HandClock()
        self.taken: set[str] = set()
        self.accepted: dict[str, str] = {}
        self.sent: dict[str, int] = {}
        self.given: dict[tuple[int, str], str] = {}
        self.runs: list[Coroutine[Any, Any, None]] = []
        self.condemned = False

    @rule()
    def accept(self) -> None:
        name = f"r{len(self.accepted)}"
        self.accepted[name], self.sent[name] = f"prompt {name} ", 0
        self.east.accept(head(name, accepted_at=self.clock.time), asks(self.accepted[name], TOKENS))

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def the_gateway_goes_on(self, data: st.DataObject) -> None:
        """Whether or not its Region is condemned: it may be cut off and live."""
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        number, stands = self.sent[name], self.east.heads[name]
        if number < TOKENS:
            self.east.pieces[name, 1, number] = Emitted(whole(self.accepted[name], TOKENS)[number], 1)
            self.sent[name] += 1
        elif stands.token == 1 and stands.state is State.ACCEPTED:
            _to_the_end(self.east.end(name, 1, TOKENS, "length", self.clock.time))

    @precondition(lambda self: not self.condemned)
    @rule()
    def what_is_new_is_copied(self) -> None:
        """The conditions are those of aws/request_copies.py: parts first, then heads that are not taken."""
        self.west.bodies |= self.east.bodies
        self.west.pieces |= {key: piece for key, piece in self.east.pieces.items() if key[0] not in self.taken}
        for name, known in self.east.heads.items():
            there = self.west.heads.get(name)
            if name not in self.taken and (there is None or there.token <= known.token):
                self.west.heads[name] = known
                if name in self.east.answers:
                    self.west.answers[name] = self.east.answers[name]

    @precondition(lambda self: not self.condemned)
    @rule()
    def the_east_is_condemned(self) -> None:
        self.condemned = True

    @precondition(lambda self: self.condemned)
    @rule()
    def it_comes_back(self) -> None:
        """What ended in the west is known in the east before its condemnation is lifted."""
        for name in self.taken & set(self.west.answers):
            stands, there = self.east.heads[name], self.west.heads[name]
            if stands.state.is_open and stands.token < there.token:
                self.east.pieces |= {key: each for key, each in self.west.pieces.items() if key[0] == name}
                self.east.heads[name] = replace(there)
                self.east.answers[name] = self.west.answers[name]
                self.east.ends.append(name)
        self.condemned = False

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def somebody_begins_to_resume(self, data: st.DataObject) -> None:
        journal = self.west if self.condemned else self.east
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        found = journal.heads.get(name)
        gone = self.condemned or found is None or found.state is State.INTERRUPTED
        if found and gone and may_claim(found, False, self.clock.time).action is Action.CLAIM:
            self.runs.append(self._taking(journal, name))

    async def _taking(self, journal: MemoryJournal, name: str) -> None:
        """A claim in the west marks the head, in the same write."""
        if journal is self.west and self.condemned:
            self.taken.add(name)
        await resumer(journal, self.service, self.clock, f"resumer {len(self.runs)}").resume(journal.heads[name])

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), steps=st.integers(1, 6), crashes=st.booleans())
    def one_goes_on_or_crashes(self, data: st.DataObject, steps: int, crashes: bool) -> None:
        chosen = self.runs[data.draw(st.sampled_from(range(len(self.runs))))]
        for _ in range(steps):
            if not _step(chosen):
                break
        if crashes:
            _crash(chosen)

    @rule()
    def time_passes(self) -> None:
        self.clock.time += LIMITS.claim_seconds + 1

    @invariant()
    def what_a_client_is_given_is_whole_and_stays_the_same(self) -> None:
        for place, journal in enumerate((self.east, self.west)):
            assert len(journal.ends) == len(set(journal.ends))
            for name in journal.answers:
                text = journal.text(name)
                assert text == whole(self.accepted[name], TOKENS)
                assert self.given.setdefault((place, name), text) == text

    def teardown(self) -> None:
        """The west ends what it has taken, the east comes back, and the rest is answered there: none is lost."""
        for run in self.runs:
            _crash(run)
        self.east.turn = self.west.turn = self.service.turn = _no_turn
        for name in sorted(self.taken):
            self.clock.time += LIMITS.claim_seconds + 1
            if self.west.heads[name].state.is_open:
                asyncio.run(resumer(self.west, self.service, self.clock, "west").resume(self.west.heads[name]))
        self.it_comes_back()
        self.clock.time += LIMITS.claim_seconds + 1
        self.east.beats["gateway"] = NOW - 1
        last = resumer(self.east, self.service, self.clock, "the last one")
        asyncio.run(last.run(self.clock.time + 1e6, accepted_before=self.clock.time + 1))
        for name in self.accepted:
            assert not self.east.heads[name].state.is_open
        self.what_a_client_is_given_is_whole_and_stays_the_same()


TwoRegions.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestTwoRegions = TwoRegions.TestCase
