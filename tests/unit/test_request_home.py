"""A Region is lost with requests in flight: another one answers them, whatever is replicated late, and none changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from standfast.errors import CorruptStateError, FencedError
from standfast.journal import COMPLETIONS, TOKENS_OF_A_HEAD, Action, Emitted, Head, Limits, Serving, State
from standfast.journal import may_claim as may_claim_at_home
from standfast.region_ports import Condemnation, RegionRecord
from standfast.request_home import LAG_SECONDS, RUN_SECONDS, Place, heir_of, may_take, place_of
from standfast.resuming import Resumer
from tests.journal_fakes import Echo, asks, whole

NOW = 1_800_000_000.0
EAST, WEST, SOUTH = "us-east-1", "us-west-2", "us-south-1"
REGIONS = (EAST, WEST, SOUTH)
SERVING = Serving("tiny", "v1", "", "llama.cpp")
TOKENS = 3
GATEWAY = "gateway"


class HandClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Answer:
    """The end of a head: what `tell` reads the answer by."""

    token: int
    pieces: int


@dataclass
class Replicated:
    """A table with a replica in each Region. What is written travels item by item, in any order; the later stays.

    The later by the writers' clocks, which need not agree: `skew`. `writers` is key -> the Regions that wrote it.
    """

    clock: HandClock
    skew: dict[str, float]
    items: dict[str, dict[Any, tuple[Any, Any]]] = field(default_factory=lambda: {name: {} for name in REGIONS})
    travelling: list[tuple[str, str, Any, Any, Any]] = field(default_factory=list)
    cut_off: set[str] = field(default_factory=set)
    writers: dict[Any, set[str]] = field(default_factory=dict)
    count: int = 0
    too_late: int = 0
    """Claims under a head that another Region's was newer than, anywhere: must stay zero."""

    def write(self, region: str, key: Any, value: Any) -> None:
        self.count += 1
        stamp = (self.clock.time + self.skew[region], region, self.count)
        stands = self.items[region].get(key)
        if stands is not None:
            stamp = max(stamp, (stands[0][0], region, self.count))
        self.items[region][key] = (stamp, value)
        self.writers.setdefault(key, set()).add(region)
        self.travelling += [(region, other, key, stamp, value) for other in REGIONS if other != region]

    def read(self, region: str, key: Any) -> Any:
        return self.items[region].get(key, (None, None))[1]

    def deliver(self, place: int) -> None:
        """One change arrives, unless its Region or the other is cut off."""
        source, region, key, stamp, value = self.travelling[place]
        mark_is_early = key[0] == "MARK" and any(each[:2] == (source, region) for each in self.travelling[:place])
        if not {source, region} & self.cut_off and not mark_is_early:
            del self.travelling[place]
            stands = self.items[region].get(key)
            if stands is None or stands[0] < stamp:
                self.items[region][key] = (stamp, value)

    def deliver_all(self) -> None:
        for _ in range(2):  # marks come after what was written before them
            for place in reversed(range(len(self.travelling))):
                self.deliver(place)

    def head(self, region: str, request_id: str) -> Head | None:
        """The newest head that a Region knows."""
        known = [key for key in self.items[region] if key[0] == request_id and key[1] == "HEAD"]
        found: Head | None = self.read(region, max(known)) if known else None
        return found

    def told(self, region: str, request_id: str) -> str | None:
        """What a client that asks there is told: the whole text, or why there is none; None while it is open."""
        head = self.head(region, request_id)
        if head is None or head.state.is_open:
            return None
        end = self.read(region, (request_id, "END", head.token))
        if isinstance(end, str):
            return end
        pieces = [
            self.read(region, (request_id, "OUT", head.token, number)) for number in range(end.pieces if end else 0)
        ]
        return "".join(piece.text for piece in pieces) if end and all(pieces) else None


@dataclass
class At:
    """RequestJournal at one Region's replica."""

    table: Replicated
    region: str
    ends: list[tuple[str, int]] = field(default_factory=list)

    async def open_heads(self, scope: str) -> Sequence[Head]:
        names = {key[0] for key in self.table.items[self.region] if key[1] == "HEAD"}
        found = [head for name in sorted(names) if (head := self.table.head(self.region, name))]
        return [head for head in found if head.scope == scope and head.state.is_open]

    async def gateways(self, names: Collection[str]) -> Mapping[str, float]:
        found = {name: self.table.read(self.region, (name, "BEAT")) for name in names}
        return {name: until for name, until in found.items() if until is not None}

    def take(self, head: Head, version: int) -> None:
        """A head of this Region, where there is none of this version yet."""
        key = (head.request_id, "HEAD", version)
        if self.table.read(self.region, key) is None:
            mine = replace(head, token=version * TOKENS_OF_A_HEAD, scope=self.region, state=State.INTERRUPTED)
            self.table.write(self.region, key, replace(mine, claimed_until=0.0))

    async def claim(self, head: Head, owner: str, until: float) -> Head | None:
        if self._stands(head.request_id, head.token) != head:
            return None
        claimed = replace(head, state=State.CLAIMED, token=head.token + 1, owner=owner, claimed_until=until)
        newest = max(key for each in self.table.items.values() for key in each if key[:2] == (head.request_id, "HEAD"))
        self.table.too_late += newest[2] > head.token // TOKENS_OF_A_HEAD
        self._write(claimed)
        return claimed

    async def read_body(self, request_id: str) -> bytes:
        body: bytes | None = self.table.read(self.region, (request_id, "BODY"))
        if body is None:
            raise CorruptStateError("no body")
        return body

    async def read_emitted(self, request_id: str, token: int) -> Emitted:
        here = self.table.items[self.region]
        wrote = [key[2] for key in here if key[:2] == (request_id, "OUT") and key[3] == 0 and key[2] <= token]
        found, number = Emitted(), 0
        while wrote and (piece := self.table.read(self.region, (request_id, "OUT", max(wrote), number))):
            found = Emitted(found.text + piece.text, found.tokens + piece.tokens, piece.finish)
            number += 1
        return found

    async def write_emitted(self, request_id: str, token: int, number: int, piece: Emitted, expires_at: float) -> None:
        self.table.write(self.region, (request_id, "OUT", token, number), piece)

    async def renew(self, request_id: str, token: int, until: float) -> None:
        self._write(replace(self._ours(request_id, token), claimed_until=until))

    async def let_go(self, request_id: str, token: int) -> None:
        self._write(replace(self._ours(request_id, token), state=State.INTERRUPTED))

    async def end(self, request_id: str, token: int, pieces: int, finish: str, now: float) -> None:
        self._close(replace(self._ours(request_id, token), state=State.ENDED), Answer(token, pieces))

    async def give_up(self, request_id: str, token: int, reason: str, now: float) -> None:
        self._close(replace(self._ours(request_id, token), state=State.INCOMPLETE), reason)

    def _close(self, head: Head, end: Any) -> None:
        self._write(head)
        self.table.write(self.region, (head.request_id, "END", head.token), end)
        self.ends.append((head.request_id, head.token // TOKENS_OF_A_HEAD))

    def _stands(self, request_id: str, token: int) -> Head | None:
        found: Head | None = self.table.read(self.region, (request_id, "HEAD", token // TOKENS_OF_A_HEAD))
        return found

    def _ours(self, request_id: str, token: int) -> Head:
        stands = self._stands(request_id, token)
        if stands is None or stands.token != token or not stands.state.is_open:
            raise FencedError("somebody else's")
        return stands

    def _write(self, head: Head) -> None:
        self.table.write(self.region, (head.request_id, "HEAD", head.token // TOKENS_OF_A_HEAD), head)


class LostRegions:
    """Gateways in the east; Regions that are cut off, condemned and lifted; each Region's checkpoint whenever it likes.

    The record is strongly consistent: who is cut off reads nothing of it.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.clock = HandClock()
        self.table = Replicated(self.clock, {EAST: 1.5, WEST: 0.0, SOUTH: -1.5})
        self.at = {name: At(self.table, name) for name in REGIONS}
        self.record = RegionRecord(version=1)
        self.prompts: dict[str, str] = {}
        self.given: dict[tuple[str, str], tuple[int, str]] = {}
        self.table.write(EAST, (GATEWAY, "BEAT"), NOW + 8)
        self.lives = True
        self.seen = (self.record, NOW)

    def accept(self) -> None:
        if self.lives:
            breaks = self.random.random() < 0.7
            name = f"r{len(self.prompts)}"
            self.prompts[name] = f"prompt {name} "
            now = self.clock.time
            made = Head(
                name,
                State.INTERRUPTED if breaks else State.ACCEPTED,
                1,
                GATEWAY,
                EAST,
                COMPLETIONS,
                str(SERVING),
                now,
                now + 1e6,
            )
            self.table.write(EAST, (name, "HEAD", 0), made)
            self.table.write(EAST, (name, "BODY"), asks(self.prompts[name], TOKENS))

    def the_gateway_goes_on(self) -> None:
        """Cut off or condemned, it serves and writes all the same."""
        if not self.prompts or not self.lives:
            return
        name, home = self.random.choice(sorted(self.prompts)), self.at[EAST]
        tokens, breaks = self.random.randint(0, TOKENS), self.random.random() < 0.5
        head: Head = self.table.read(EAST, (name, "HEAD", 0))
        if head.token == 1 and head.state is State.ACCEPTED:
            answer = whole(self.prompts[name], TOKENS)
            for number in range(tokens):
                self.table.write(EAST, (name, "OUT", 1, number), Emitted(answer[number], 1))
            if breaks:
                asyncio.run(home.let_go(name, 1))
            elif tokens == TOKENS:
                asyncio.run(home.end(name, 1, TOKENS, "length", self.clock.time))

    def the_gateway_beats_or_dies(self) -> None:
        self.lives = self.lives and self.random.random() < 0.9
        if self.lives:
            self.table.write(EAST, (GATEWAY, "BEAT"), self.clock.time + 8)

    def time_passes(self) -> None:
        """In a minute and a half what is written is replicated, where it may be."""
        seconds = self.random.choice([1.0, 15.0, 100.0, RUN_SECONDS + 1])
        self.clock.time += seconds
        if seconds >= 100.0:
            self.table.deliver_all()

    def some_is_replicated(self) -> None:
        chance = self.random.choice([0.3, 0.7, 1.0])
        places = [place for place in range(len(self.table.travelling)) if self.random.random() < chance]
        for place in reversed(places):
            self.table.deliver(place)

    def a_region_is_cut_off(self) -> None:
        if not self.table.cut_off:
            self.table.cut_off = {self.random.choice([EAST, EAST, SOUTH])}

    def it_is_joined_again(self) -> None:
        self.table.cut_off = set()

    def a_region_is_condemned(self) -> None:
        region = self.random.choice([EAST, EAST, EAST, SOUTH])
        if not self.record.condemned and not self.table.cut_off - {region}:
            self.seen = (self.record, self.clock.time)
            now = self.clock.time
            each = Condemnation(region, (WEST,), "it fails", f"i{self.record.version}", now, now + 1e9, 1)
            self.record = replace(self.record, version=self.record.version + 1, condemned={region: each})

    def a_region_comes_back(self) -> None:
        """Its replica has caught up before the condemnation is lifted; what is taken after that is not in it."""
        if self.record.condemned and not self.table.cut_off:
            self.table.deliver_all()
            self.seen = (self.record, self.clock.time)
            back = {**self.record.returned, **dict.fromkeys(self.record.condemned, self.clock.time)}
            self.record = replace(self.record, version=self.record.version + 1, condemned={}, returned=back)

    def a_region_looks(self) -> None:
        self._looks(self.random.choice(REGIONS), self.random.choice([None, None, 0, 2]))

    def _looks(self, region: str, breaks_after: int | None) -> None:
        if region not in self.table.cut_off:
            self._take(region, self.record, self.clock.time)
            asyncio.run(self._look(region, breaks_after, self.record))

    def a_slow_run_goes_by_what_it_read(self) -> None:
        """The record before its last change: a run that read it may still take, until the function's limit ends it."""
        region = self.random.choice([SOUTH, WEST])
        record, until = self.seen
        if region not in self.table.cut_off and self.clock.time <= until + 300.0:
            self._take(region, record, until)

    def _take(self, region: str, record: RegionRecord, read_at: float) -> None:
        at = self.at[region]
        for lost in record.condemned:
            for head in asyncio.run(at.open_heads(lost)):
                alive = self.table.read(region, (head.owner, "BEAT"))
                said = may_take(head, region, alive, record, read_at=read_at, serving=REGIONS, now=self.clock.time)
                if said.action is Action.CLAIM:
                    at.take(head, record.version)

    async def _look(self, region: str, breaks_after: int | None, record: RegionRecord) -> None:
        at = self.at[region]
        resumer = Resumer(
            f"{region} {self.table.count}", region, at, Echo(breaks_after=breaks_after), SERVING, self.clock,
            limits=Limits(claim_seconds=10.0),
        )  # fmt: skip
        self.table.write(region, ("MARK", region), self.clock.time)
        marks = [self.table.read(region, ("MARK", other)) or 0.0 for other in REGIONS if other != region]
        for head in await at.open_heads(region):
            beats = await at.gateways([head.owner])
            alive = beats[head.owner] >= self.clock.time if head.owner in beats else None
            # `open_heads` is by the newest head here, so OURS and LOOK are both answered by it.
            ours = place_of(head, region, record, marks, self.clock.time) is not Place.NOT_OURS
            if ours and may_claim_at_home(head, alive, self.clock.time).action is Action.CLAIM:
                await resumer.resume(head)

    def each_item_has_one_region_that_writes_it(self) -> None:
        assert all(len(regions) == 1 for regions in self.table.writers.values())

    def none_ends_twice_under_one_head(self) -> None:
        for at in self.at.values():
            assert len(at.ends) == len(set(at.ends))

    def no_function_claims_what_another_region_took(self) -> None:
        assert self.table.too_late == 0

    def what_a_region_told_changes_only_when_it_learns_that_another_took_it(self) -> None:
        for region in REGIONS:
            for name, prompt in self.prompts.items():
                told = self.table.told(region, name)
                if told is None:
                    continue
                assert told == whole(prompt, TOKENS) or "send it again" in told
                head = self.table.head(region, name)
                assert head is not None
                version, before = self.given.setdefault((region, name), (head.token // TOKENS_OF_A_HEAD, told))
                assert told == before or head.token // TOKENS_OF_A_HEAD > version
                self.given[region, name] = (head.token // TOKENS_OF_A_HEAD, told)

    def all_is_well_in_the_end(self) -> None:
        """All is joined and replicated: every request ends, and every Region tells the same of it."""
        self.lives = False
        self.it_is_joined_again()
        self.a_region_comes_back()
        self.table.deliver_all()
        for _ in range(6):
            self.clock.time += RUN_SECONDS + 100
            for region in REGIONS:
                self._looks(region, None)
                self.table.deliver_all()
        for name in self.prompts:
            told = {self.table.told(region, name) for region in REGIONS}
            assert len(told) == 1
            assert None not in told


@pytest.mark.parametrize("seed", range(3))
def test_what_one_region_took_no_other_answers_and_all_ends(seed: int) -> None:
    """Walks of a hundred steps: most of what is rare needs several steps in a row, so the steps are weighted."""
    for walk in range(40):
        world = LostRegions(seed * 1000 + walk)
        steps = {
            world.accept: 4, world.the_gateway_goes_on: 2, world.the_gateway_beats_or_dies: 2, world.time_passes: 3,
            world.some_is_replicated: 5, world.a_region_is_cut_off: 1, world.it_is_joined_again: 2,
            world.a_region_is_condemned: 2, world.a_region_comes_back: 2, world.a_region_looks: 6,
            world.a_slow_run_goes_by_what_it_read: 3,
        }  # fmt: skip
        for step in world.random.choices(list(steps), list(steps.values()), k=100):
            step()
            world.each_item_has_one_region_that_writes_it()
            world.none_ends_twice_under_one_head()
            world.no_function_claims_what_another_region_took()
            world.what_a_region_told_changes_only_when_it_learns_that_another_took_it()
        world.all_is_well_in_the_end()


def head(state: State = State.ACCEPTED, **changes: Any) -> Head:
    return replace(Head("r", state, 1, GATEWAY, EAST, COMPLETIONS, "", NOW, NOW + 3600), **changes)


def condemned(*regions: str, until: float = NOW + 900, **changes: Any) -> RegionRecord:
    out = {name: Condemnation(name, (SOUTH,), "it fails", "i", NOW, until, 3) for name in regions}
    return replace(RegionRecord(version=7, condemned=out), **changes)


def test_a_request_that_broke_off_in_a_condemned_region_is_the_heirs_at_once() -> None:
    found = may_take(head(State.INTERRUPTED), WEST, None, condemned(EAST), read_at=NOW, serving=[EAST, WEST], now=NOW)
    assert found.action is Action.CLAIM
    assert found.reason == "gateway said that it was cut off, and us-east-1 is condemned"


def test_what_a_gateway_has_is_left_until_its_last_sign_of_life_and_the_lag_are_over() -> None:
    record, until = condemned(EAST), NOW + 8
    assert (
        may_take(head(), WEST, until, record, read_at=NOW, serving=[EAST, WEST], now=until + LAG_SECONDS).action
        is Action.LEAVE
    )
    assert (
        may_take(head(), WEST, until, record, read_at=NOW, serving=[EAST, WEST], now=until + LAG_SECONDS + 1).action
        is Action.CLAIM
    )


def test_nobody_takes_from_a_region_that_is_not_condemned_or_is_no_more() -> None:
    for record in (RegionRecord(), condemned(EAST, until=NOW - 1)):
        found = may_take(head(State.INTERRUPTED), WEST, None, record, read_at=NOW, serving=[EAST, WEST], now=NOW)
        assert (found.action, found.reason) == (Action.LEAVE, "us-east-1 is not condemned")


def test_one_region_alone_is_the_heir_even_where_another_ones_condemnation_has_lapsed() -> None:
    record = condemned(EAST, SOUTH, until=NOW - 1)
    assert heir_of(EAST, record, REGIONS) == WEST
    assert heir_of(EAST, condemned(*REGIONS), REGIONS) == ""


def test_a_condemned_region_leaves_its_own_alone_and_so_does_one_that_just_came_back() -> None:
    old = head(State.INTERRUPTED)
    back = RegionRecord(returned={EAST: NOW + 60})
    heard, not_all = [NOW + 61 + RUN_SECONDS] * 2, [NOW + 61 + RUN_SECONDS, NOW + 59 + RUN_SECONDS]
    assert place_of(old, EAST, condemned(EAST), heard, NOW) is Place.NOT_OURS
    assert place_of(old, EAST, back, not_all, NOW + 3000) is Place.NOT_OURS
    assert place_of(old, EAST, back, heard, NOW + 3000) is Place.LOOK
    assert place_of(replace(old, accepted_at=NOW + 90), EAST, back, not_all, NOW + 91) is Place.OURS
