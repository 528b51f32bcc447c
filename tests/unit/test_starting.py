"""What is started when another Region sees the service answer: nothing, until it does not. In virtual time."""

from __future__ import annotations

import asyncio

import pytest

from standfast.errors import UnavailableError
from standfast.health import Verdict
from standfast.outside import FRESH_SECONDS, denial
from standfast.stores import Sight
from tests.builders import NOW, SCOPE
from tests.unit.test_watch import NAME, World, play

WATCHER = "us-east-2"


def denies(world: World, verdict: Verdict = Verdict.HEALTHY, *, until: float = 1e9) -> None:
    """The watcher writes each second how the Region looks from there, until it sees that it is dead."""

    async def look() -> None:
        began = world.clock.now()
        while world.clock.now() < began + 60:
            seen = verdict if world.clock.now() < began + until else Verdict.UNHEALTHY
            world.regions.write_sight(Sight(WATCHER, SCOPE, seen, "the entry answers for it", world.clock.now()))
            await asyncio.sleep(1)

    world.beside = asyncio.create_task(look())


def watched_from_outside(verdict: Verdict = Verdict.HEALTHY, *, until: float = 1e9, then: float = 12.0) -> World:
    async def script(world: World) -> None:
        denies(world, verdict, until=until)
        run = world.begin(3.5 + then)
        await asyncio.sleep(3.5)
        world.die()
        await run

    return play(script)


def test_a_cluster_that_another_region_sees_serve_is_not_left(caplog: pytest.LogCaptureFixture) -> None:
    world = watched_from_outside()
    assert not world.executions.started
    assert (
        "use1-a is dead: 1 of 4 replicas pass; 3 of 3 probes failed: connection refused; through the entry 2 "
        "probes failed: an error status (502), but us-east-2 sees us-east-1 serve: the entry answers for it; "
        "nothing is started"
    ) in caplog.messages


def test_it_is_left_as_soon_as_the_other_region_sees_it_too() -> None:
    world = watched_from_outside(until=8.0)
    assert list(world.executions.started) == [NAME]
    assert 4.5 <= world.started_after(3.5) <= 6.0


@pytest.mark.parametrize("verdict", [Verdict.DEGRADED, Verdict.UNHEALTHY, Verdict.UNKNOWN])
def test_a_region_that_sees_it_fail_or_does_not_know_denies_nothing(verdict: Verdict) -> None:
    assert watched_from_outside(verdict).started_after(3.5) <= 2.0


def test_an_old_sight_denies_nothing() -> None:
    async def script(world: World) -> None:
        world.regions.write_sight(Sight(WATCHER, SCOPE, Verdict.HEALTHY, "long ago", world.clock.now() - 9.0))
        run = world.begin(14)
        await asyncio.sleep(3.5)
        world.die()
        await run

    assert play(script).started_after(3.5) <= 2.0


def test_other_regions_that_cannot_be_asked_deny_nothing() -> None:
    async def script(world: World) -> None:
        denies(world)
        world.regions.faults.fail("sights", UnavailableError("cut off"))
        run = world.begin(14)
        await asyncio.sleep(3.5)
        world.die()
        await run

    assert play(script).started_after(3.5) <= 2.0


def test_only_a_fresh_sight_of_this_region_from_another_one_denies() -> None:
    seen = Sight(WATCHER, SCOPE, Verdict.HEALTHY, "the entry answers for it", NOW)
    assert denial(SCOPE, [seen], NOW + FRESH_SECONDS) == "us-east-2 sees us-east-1 serve: the entry answers for it"
    assert denial(SCOPE, [seen], NOW + FRESH_SECONDS + 0.1) == ""
    assert denial("us-west-2", [seen], NOW) == ""
    assert denial(SCOPE, [Sight(SCOPE, SCOPE, Verdict.HEALTHY, "its own", NOW)], NOW) == ""
    assert denial(SCOPE, [], NOW) == ""
