"""The watch of a Region that only looks at the others, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from standfast.errors import UnavailableError
from standfast.health import Verdict
from standfast.region_watch import WRITE_SECONDS, RegionWatch
from standfast.watch import WatchReport
from tests import virtual_time
from tests.builders import ENTRY_URL, NOW, SCOPE, fleet, switch, view
from tests.fakes import BAD_GATEWAY, FakeClock, FakeClusterTable, FakeProber, FakeRegionTable

WATCHER = "us-east-2"


class Outlook:
    """A watcher with its stand-ins."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.prober = FakeProber(self.clock)
        self.table = FakeClusterTable(view())
        self.regions = FakeRegionTable(switch())

    def watch(self, seconds: float) -> Awaitable[WatchReport]:
        watch = RegionWatch(WATCHER, fleet(), self.table, self.regions, self.prober, self.clock)
        return watch.run(self.clock.now() + seconds)

    @property
    def sight(self) -> tuple[Verdict, str]:
        sight = self.regions.seen[WATCHER, SCOPE]
        return sight.verdict, sight.reason


def play(script: Callable[[Outlook], Awaitable[None]]) -> Outlook:
    outlook = Outlook()

    async def scene() -> None:
        await script(outlook)

    virtual_time.run(scene(), call_seconds=0.01)
    return outlook


def test_what_is_seen_is_written_once_in_ten_seconds() -> None:
    async def script(outlook: Outlook) -> None:
        await outlook.watch(25)

    outlook = play(script)
    assert outlook.sight == (Verdict.HEALTHY, "the entry answers for it")
    moments = [sight.seen_at for sight in outlook.regions.written]
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
