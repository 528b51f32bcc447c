"""The watch of the Regions in virtual time: what it sees, whether it sees at all, and what its desk does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from sandbox.replicated_record import ReplicatedRecord
from standfast.errors import UnavailableError
from standfast.fleet import Automation
from standfast.health import Verdict
from standfast.region_desk import DeskPorts, RegionDesk
from standfast.region_ports import VALID_SECONDS, Condemnation, Heartbeat, RegionRecord
from standfast.region_watch import BLIND, WRITE_SECONDS, RegionWatch
from standfast.stores import Sight
from standfast.watch import WatchReport
from tests import virtual_time
from tests.builders import NOW, brake, switch, view
from tests.fakes import BAD_GATEWAY, FakeClock, FakeClusterTable, FakeMessenger, FakeProber, FakeRegionTable
from tests.region_builders import EAST, WATCHER, WEST, fleet_of
from tests.region_fakes import FakeControls, FakeRegionMoves

ENTRY_URL, PEER_URL = f"http://{EAST}.entry.test", f"http://{WEST}.entry.test"


class Outlook:
    """A watcher with its stand-ins."""

    def __init__(self, vantage: str = WATCHER) -> None:
        self.vantage, self.config = vantage, fleet_of(EAST, WEST, watchers=[WATCHER])
        self.clock = FakeClock(NOW)
        self.prober = FakeProber(self.clock)
        self.table = FakeClusterTable(view())
        self.regions = FakeRegionTable(switch())
        self.record = ReplicatedRecord()
        self.controls, self.moves, self.messenger = FakeControls(), FakeRegionMoves(), FakeMessenger()
        states = self.record.at(vantage)
        self.ports = DeskPorts(
            regions=states,
            beats=states,
            sights=self.regions,
            switches=self.regions,
            incidents=self.table,
            messenger=self.messenger,
            moves=self.moves,
            views=None,
            verdict_url=f"http://verdict.{vantage}.test",
        )
        self.others_beat(NOW)

    def others_beat(self, at: float) -> None:
        for region in {EAST, WEST, WATCHER} - {self.vantage}:
            serving, url = region != WATCHER, f"http://verdict.{region}.test"
            self.record.shared.beats[region] = Heartbeat(region, at, serving, "as a test says", verdict_url=url)

    def sees(self, vantage: str, region: str, verdict: Verdict, since: float | None = None) -> None:
        """What another vantage point wrote just now."""
        self.regions.seen[vantage, region] = Sight(vantage, region, verdict, "it looked", self.clock.now(), since)

    def watch(self, seconds: float) -> Awaitable[WatchReport]:
        desk = RegionDesk(self.vantage, self.config, self.ports)
        watch = RegionWatch(
            self.vantage, self.config, self.table, self.regions, self.prober, self.controls, desk, self.clock
        )
        return watch.run(self.clock.now() + seconds)

    @property
    def sight(self) -> tuple[Verdict, str]:
        sight = self.regions.seen[self.vantage, EAST]
        return sight.verdict, sight.reason


def play(script: Callable[[Outlook], Awaitable[None]], vantage: str = WATCHER) -> Outlook:
    outlook = Outlook(vantage)

    async def scene() -> None:
        await script(outlook)

    virtual_time.run(scene(), call_seconds=0.01)
    return outlook


def test_what_is_seen_is_written_once_in_ten_seconds() -> None:
    async def script(outlook: Outlook) -> None:
        await outlook.watch(25)

    outlook = play(script)
    assert outlook.sight == (Verdict.HEALTHY, "the entry answers for it")
    moments = [sight.seen_at for sight in outlook.regions.written if sight.region == EAST]
    assert len(moments) == 3
    assert all(later - earlier >= WRITE_SECONDS for earlier, later in pairwise(moments))


def test_an_entry_that_fails_is_written_as_soon_as_enough_probes_failed() -> None:
    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(8))
        await asyncio.sleep(4.5)
        outlook.prober.set(ENTRY_URL, BAD_GATEWAY)
        await run

    outlook = play(script)
    verdict, reason = outlook.sight
    assert verdict is Verdict.UNHEALTHY
    assert reason == "through the entry 2 probes failed: an error status (502)"


def test_cut_off_from_the_shared_table_it_goes_on_looking_and_writes_later() -> None:
    async def script(outlook: Outlook) -> None:
        outlook.regions.faults.fail("write_sight", UnavailableError("no other Region answers"))
        run = asyncio.ensure_future(outlook.watch(8))
        await asyncio.sleep(4)
        assert not outlook.regions.seen
        outlook.regions.faults.mend("write_sight")
        await run

    assert play(script).sight[0] is Verdict.HEALTHY


@pytest.mark.parametrize("fails", [False, True], ids=["the relay is read", "the relay is silent for a while"])
def test_a_run_ends_when_a_later_one_has_the_watch(*, fails: bool) -> None:
    reports: list[WatchReport] = []

    async def script(outlook: Outlook) -> None:
        first = asyncio.ensure_future(outlook.watch(100))
        await asyncio.sleep(3)
        if fails:
            outlook.table.faults.fail("relay", UnavailableError("no answer"), times=2)
        second = asyncio.ensure_future(outlook.watch(10))
        reports.extend([await first, await second])

    play(script)
    assert reports[0].reason == "a later run has the watch"
    assert reports[1].reason == "the time is up and no later run has the watch"
    assert reports[0].generation < reports[1].generation


async def east_is_lost(outlook: Outlook, seconds: float) -> None:
    """From the fifth second on nobody sees us-east-1, which falls silent; us-west-2 agrees."""
    run = asyncio.ensure_future(outlook.watch(seconds))
    await asyncio.sleep(4.5)
    outlook.prober.set(ENTRY_URL, BAD_GATEWAY)
    outlook.sees(WEST, WEST, Verdict.HEALTHY)
    outlook.sees(WATCHER, WEST, Verdict.HEALTHY)
    while not run.done():
        outlook.sees(WEST, EAST, Verdict.UNHEALTHY, NOW + 5)
        outlook.sees(WEST, WEST, Verdict.HEALTHY)
        outlook.record.shared.beats[WEST] = Heartbeat(WEST, outlook.clock.now(), True, "it serves")
        await asyncio.sleep(1)
    await run


def test_a_region_that_two_see_fail_and_that_fell_silent_is_evacuated_within_twenty_seconds() -> None:
    outlook = play(lambda outlook: east_is_lost(outlook, 25))
    ((name, payload),) = outlook.moves.started.items()
    assert name == "us-east-1-evacuation-0-run"
    assert payload["voices"] == [WATCHER, WEST]
    assert (payload["mode"], payload["region"]) == ("evacuate", EAST)
    assert float(str(payload["detected_at"])) - (NOW + 4.5) <= 15
    assert outlook.messenger.pages == []


def test_it_starts_the_same_execution_once_and_another_one_while_nothing_came_of_it() -> None:
    async def script(outlook: Outlook) -> None:
        await east_is_lost(outlook, 60)

    outlook = play(script)
    names = list(outlook.moves.started)
    assert names[0] == "us-east-1-evacuation-0-run"
    assert len(names) == 2
    assert names[1].startswith("us-east-1-evacuation-0-run-")


def test_while_the_switch_is_off_a_person_is_paged_and_nothing_starts() -> None:
    async def script(outlook: Outlook) -> None:
        outlook.regions.brake = brake(Automation.OFF)
        await east_is_lost(outlook, 40)

    outlook = play(script)
    assert outlook.moves.started == {}
    assert [subject for subject, _ in outlook.messenger.pages] == ["us-east-1 is lost and the switch is off"]


def test_without_a_third_view_a_person_is_paged_once() -> None:
    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(40))
        await asyncio.sleep(4.5)
        outlook.prober.set(ENTRY_URL, BAD_GATEWAY)
        await run

    outlook = play(script)
    assert outlook.moves.started == {}
    assert [subject for subject, _ in outlook.messenger.pages] == [
        "us-east-1 fails and is not evacuated: no third view"
    ]


def test_a_vantage_point_whose_controls_fail_too_is_blind_and_says_so() -> None:
    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(45))
        await asyncio.sleep(4.5)
        outlook.controls.answering = False
        for url in (ENTRY_URL, PEER_URL):
            outlook.prober.set(url, BAD_GATEWAY)
        await run

    outlook = play(script)
    assert outlook.sight == (Verdict.UNKNOWN, BLIND)
    assert outlook.moves.started == {}
    assert "us-east-2 is blind to the other Regions" in [subject for subject, _ in outlook.messenger.pages]


def test_failed_entries_are_an_outage_while_a_control_answers_however_many() -> None:
    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(12))
        await asyncio.sleep(4.5)
        for url in (ENTRY_URL, PEER_URL):
            outlook.prober.set(url, BAD_GATEWAY)
        await run

    outlook = play(script)
    assert outlook.sight[0] is Verdict.UNHEALTHY
    assert set(outlook.controls.asked) == {"http://verdict.us-east-1.test", "http://verdict.us-west-2.test"}


def test_its_own_entry_proves_no_way_out() -> None:
    """From us-west-2, whose own entry answers, nobody else does: it is cut off, and us-east-1 may be well."""

    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(12))
        await asyncio.sleep(4.5)
        outlook.controls.answering = False
        outlook.prober.set(ENTRY_URL, BAD_GATEWAY)
        await run

    assert play(script, WEST).sight == (Verdict.UNKNOWN, BLIND)


def test_it_says_that_it_lives_every_four_seconds_and_each_second_once_it_could_be_left() -> None:
    beats: list[float] = []

    async def script(outlook: Outlook) -> None:
        run = asyncio.ensure_future(outlook.watch(31))
        for quarter in range(120):
            if quarter == 40:
                outlook.prober.set(PEER_URL, BAD_GATEWAY)
            await asyncio.sleep(0.25)
            found = outlook.record.shared.beats.get(WEST)
            if found is not None and found.beat_at not in beats:
                beats.append(found.beat_at)
        await run

    play(script, WEST)
    before = [beat for beat in beats if beat < NOW + 20]
    assert len(before) == 5
    assert len(beats) - len(before) >= 8


def test_a_table_that_hangs_holds_up_no_looking() -> None:
    async def script(outlook: Outlook) -> None:
        outlook.record.isolate(WATCHER)
        await outlook.watch(10)

    outlook = play(script)
    assert len([url for url, _ in outlook.prober.asked if url == ENTRY_URL]) >= 9
    assert outlook.sight[0] is Verdict.HEALTHY


def test_what_is_condemned_is_kept_fresh() -> None:
    async def script(outlook: Outlook) -> None:
        each = Condemnation(EAST, (WEST,), "it is lost", "one", NOW - 90, NOW + VALID_SECONDS - 90, 1)
        outlook.record.shared.record = RegionRecord(condemned={EAST: each})
        await outlook.watch(15)

    assert play(script).record.shared.record.condemned[EAST].valid_until >= NOW + VALID_SECONDS


def test_a_region_that_says_nothing_is_told_of() -> None:
    async def script(outlook: Outlook) -> None:
        outlook.others_beat(NOW - 55)
        outlook.record.shared.beats[WEST] = Heartbeat(WEST, NOW + 60, True, "it lives")
        await outlook.watch(25)

    assert [subject for subject, _ in play(script).messenger.pages] == ["us-east-1 is silent"]


def test_since_when_it_fails_is_known_from_run_to_run_and_no_run_begins_with_a_guess() -> None:
    said: list[tuple[Verdict, float | None]] = []

    async def script(outlook: Outlook) -> None:
        first = asyncio.ensure_future(outlook.watch(60))
        await asyncio.sleep(4.5)
        outlook.prober.set(ENTRY_URL, BAD_GATEWAY)
        await asyncio.sleep(20)
        second = asyncio.ensure_future(outlook.watch(20))
        await asyncio.gather(first, second)
        said.extend((sight.verdict, sight.since) for sight in outlook.regions.written if sight.region == EAST)

    play(script)
    failing = [since for verdict, since in said if verdict is Verdict.UNHEALTHY]
    assert len(failing) >= 4
    assert len(set(failing)) == 1
    assert [verdict for verdict, _ in said].index(Verdict.UNHEALTHY) == len(said) - len(failing)
