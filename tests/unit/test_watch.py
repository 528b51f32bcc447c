"""The watch in virtual time: how soon it starts a failover, what starts none, and the relay between two runs.

Every call to the table and to Step Functions takes 10 ms, as DynamoDB does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from standfast.errors import AccessDeniedError, CorruptStateError, ThrottledError, UnavailableError
from standfast.failover import StartAction, StartDecision
from standfast.fleet import Automation, FleetConfig, ReplicaAddress
from standfast.health import Outcome, Verdict
from standfast.observation import COUNTED, PROBE_HEADER
from standfast.stores import View
from standfast.watch import Watch, WatchReport
from tests import virtual_time
from tests.builders import (
    ACTIVE,
    ENTRY_URL,
    EXECUTION,
    NOW,
    SCOPE,
    STANDBY,
    addresses,
    fleet,
    lease,
    record,
    switch,
    view,
)
from tests.fakes import (
    ANSWERS,
    BAD_GATEWAY,
    HANGS,
    REFUSES,
    Behaviour,
    FakeClock,
    FakeClusterTable,
    FakeExecutions,
    FakeMetrics,
    FakeProber,
    FakeRegionTable,
)

NAME = "us-east-1-use1-a-v7-a0"
PHASES = [3.03, 3.1, 3.25, 3.5, 3.75, 3.99]
"""When something breaks, in seconds after the watch began: at several places between two passes."""


class World:
    """A fleet, its table and the watches over it."""

    def __init__(self, known: View | None = None, automation: Automation = Automation.RUN) -> None:
        self.clock = FakeClock(NOW)
        self.prober = FakeProber(self.clock)
        self.table = FakeClusterTable(known or view())
        self.regions = FakeRegionTable(switch(automation))
        self.executions = FakeExecutions()
        self.metrics = FakeMetrics()
        self.beside: asyncio.Task[None] | None = None
        """What else goes on, kept so that it does."""

    def watch(self) -> Watch:
        return self.watch_for("watch")

    def watch_for(self, trigger: str) -> Watch:
        ports = (self.table, self.regions, self.table, self.executions, self.prober, self.clock, self.metrics)
        return Watch(SCOPE, *ports, trigger=trigger)

    def begin(self, seconds: float = 60.0) -> asyncio.Task[WatchReport]:
        return asyncio.create_task(self.watch().run(self.clock.now() + seconds))

    def replicas(self, behaviour: Behaviour, cluster_id: str = ACTIVE, count: int = 4) -> None:
        """How the replicas behave from now on."""
        for address in addresses(cluster_id, count):
            self.prober.set(address.url, behaviour)

    def entry(self, behaviour: Behaviour, cluster_id: str = ACTIVE) -> None:
        """How the probe rule of a cluster behaves from now on."""
        self.prober.set(ENTRY_URL, behaviour, probe_header=cluster_id)

    def die(self) -> None:
        """The active cluster's processes are gone: connections are refused, the load balancer answers 502."""
        self.replicas(REFUSES)
        self.entry(BAD_GATEWAY)

    def wedge(self, progress: Callable[[float], float | None] = lambda _now: None) -> None:
        """The active cluster's engines accept and never answer, with a counter that says so or nothing."""
        self.replicas(replace(HANGS, progress=progress))
        self.entry(HANGS)

    def heal(self) -> None:
        self.replicas(ANSWERS)
        self.entry(ANSWERS)

    def started_after(self, moment: float) -> float:
        """Seconds from a moment of the loop's time to the decision to start."""
        (payload,) = self.executions.started.values()
        return float(str(payload["detected_at"])) - self.clock.origin - moment


def play(script: Callable[[World], Awaitable[None]], world: World | None = None) -> World:
    """Run a script against a world in virtual time."""
    world = world or World()

    async def scene() -> None:
        await script(world)

    virtual_time.run(scene(), call_seconds=0.01)
    return world


def breaks(how: Callable[[World], None], at: float, then: float = 12.0) -> World:
    """A watch runs, something breaks at a time, and is left alone for a while."""

    async def script(world: World) -> None:
        run = world.begin(at + then)
        await asyncio.sleep(at)
        how(world)
        await run

    return play(script)


# Detection


@pytest.mark.parametrize("at", PHASES)
def test_refused_replicas_are_found_within_two_seconds(at: float) -> None:
    world = breaks(World.die, at)
    assert list(world.executions.started) == [NAME]
    assert world.started_after(at) <= 2.0


@pytest.mark.parametrize("at", PHASES)
@pytest.mark.parametrize("counter", [None, 512.0], ids=["silent", "counter stands still"])
def test_wedged_replicas_are_found_within_three_and_a_half_seconds(at: float, counter: float | None) -> None:
    """A pass begins within a second; its probe, the one beside it and that of the next pass fail 2.5 s after it."""
    world = breaks(lambda world: world.wedge(lambda _now: counter), at)
    assert list(world.executions.started) == [NAME]
    assert world.started_after(at) <= 3.55


@pytest.mark.parametrize("at", PHASES)
def test_saturated_replicas_start_nothing(at: float) -> None:
    """Nothing answers in time, and the engines decode: shedding helps, leaving does not."""
    world = breaks(lambda world: world.wedge(lambda now: 30 * (now - NOW)), at)
    assert not world.executions.started
    assert world.table.known.assessments[ACTIVE].verdict is Verdict.DEGRADED
    assert "saturated, not dead" in world.table.known.assessments[ACTIVE].reason


def test_engines_that_wedge_after_having_been_saturated_are_found() -> None:
    wedged_at = 12.3
    counter = lambda now: 30 * min(now - NOW, wedged_at)  # noqa: E731 - a counter that stops
    world = breaks(lambda world: world.wedge(counter), 3.3, then=20)
    assert world.started_after(wedged_at) <= 5.0


def test_what_is_started_says_what_failed_since_when_and_why() -> None:
    world = breaks(World.die, 3.25)
    (payload,) = world.executions.started.values()
    since = float(str(payload["failed_since"])) - NOW
    assert 3.25 <= since <= 4.3
    assert payload == {
        "mode": "failover",
        "scope_id": SCOPE,
        "incident_id": "us-east-1-use1-a-v7",
        "failed_cluster_id": ACTIVE,
        "reason": "use1-a is dead: 1 of 4 replicas pass; 3 of 3 probes failed: connection refused; "
        "through the entry 2 probes failed: an error status (502)",
        "failed_since": payload["failed_since"],
        "detected_at": payload["detected_at"],
        "trigger": "watch",
    }


# What starts nothing


@pytest.mark.parametrize("at", PHASES)
def test_a_blink_starts_nothing(at: float) -> None:
    """A pass falls into it, and asks at once again; the third time is 0.7 s later."""

    async def script(world: World) -> None:
        run = world.begin(12)
        await asyncio.sleep(at)
        world.die()
        await asyncio.sleep(0.65)
        world.heal()
        await run

    world = play(script)
    assert not world.executions.started
    assert world.table.known.assessments[ACTIVE].verdict is Verdict.HEALTHY


@pytest.mark.parametrize("at", PHASES)
def test_a_spike_of_two_seconds_starts_nothing(at: float) -> None:
    async def script(world: World) -> None:
        run = world.begin(14)
        await asyncio.sleep(at)
        world.wedge()
        await asyncio.sleep(2)
        world.heal()
        await run

    assert not play(script).executions.started


def test_one_dead_replica_of_four_starts_nothing() -> None:
    world = breaks(lambda world: world.prober.set(addresses(ACTIVE, 1)[0].url, REFUSES), 3.5)
    assert not world.executions.started
    assert world.table.known.assessments[ACTIVE].reason.startswith("3 of 4 replicas pass")


@pytest.mark.parametrize("how", [lambda world: world.replicas(REFUSES), lambda world: world.entry(BAD_GATEWAY)])
def test_one_path_alone_starts_nothing(how: Callable[[World], None]) -> None:
    world = breaks(how, 3.5)
    assert not world.executions.started
    assert world.table.known.assessments[ACTIVE].verdict is Verdict.DEGRADED


def test_a_dead_standby_starts_nothing_and_is_known() -> None:
    def standby_dies(world: World) -> None:
        world.replicas(REFUSES, STANDBY, 2)
        world.entry(BAD_GATEWAY, STANDBY)

    world = breaks(standby_dies, 3.5)
    assert not world.executions.started
    assert world.table.known.assessments[STANDBY].verdict is Verdict.UNHEALTHY


@pytest.mark.parametrize(
    "known",
    [view(record(held=lease(4, EXECUTION))), view(record(not_before=NOW + 3600))],
    ids=["at work", "held down"],
)
def test_what_holds_a_failover_back_holds_the_watch_back(known: View) -> None:
    async def script(world: World) -> None:
        world.die()
        await world.begin(10)

    assert not play(script, World(known)).executions.started


def dies_at_once(automation: Automation, *, seconds: float, **faults: Exception) -> World:
    async def script(world: World) -> None:
        for method, fault in faults.items():
            world.regions.faults.fail(method, fault)
        world.die()
        await world.begin(seconds)

    return play(script, World(automation=automation))


def test_switched_off_nothing_is_started() -> None:
    assert not dies_at_once(Automation.OFF, seconds=10).executions.started


def test_before_the_switch_was_ever_read_nothing_but_an_observed_failover_is_started() -> None:
    world = dies_at_once(Automation.RUN, seconds=8, glance_at_brake=UnavailableError("the table is away"))
    assert list(world.executions.started) == [f"{NAME}-observed"]


def test_a_switch_that_cannot_be_read_any_more_stays_as_it_was_known() -> None:
    def loses_the_table_and_dies(world: World) -> None:
        world.regions.faults.fail("glance_at_brake", UnavailableError("this Region is cut off"))
        world.die()

    assert list(breaks(loses_the_table_and_dies, 3.5).executions.started) == [NAME]


def test_the_end_of_the_hold_down_starts_the_next_attempt() -> None:
    async def script(world: World) -> None:
        world.die()
        await world.begin(20)

    world = play(script, World(view(record(attempts=1, not_before=NOW + 10))))
    assert list(world.executions.started) == ["us-east-1-use1-a-v7-a1"]
    assert 10 <= world.started_after(0) <= 11.1


def test_observing_starts_an_execution_of_another_name() -> None:
    async def script(world: World) -> None:
        world.die()
        await world.begin(8)

    world = play(script, World(automation=Automation.OBSERVE))
    assert list(world.executions.started) == [f"{NAME}-observed"]


# Two watches and the relay


def test_two_watches_start_the_same_incident_once() -> None:
    async def script(world: World) -> None:
        older = world.begin(30)
        await asyncio.sleep(5.4)
        world.wedge()
        later = world.begin(12)  # its first pass takes long: both watch meanwhile
        await asyncio.gather(older, later)

    world = play(script)
    assert list(world.executions.started) == [NAME]
    assert set(world.executions.refused) <= {NAME}


def test_an_execution_that_never_took_the_lease_is_followed_by_another() -> None:
    """It was refused, say, while a person's step held the lease. Its name is used up for 90 days; the outage is not."""
    world = breaks(World.die, at=1.0, then=30.0)
    first, second = world.executions.started
    assert first == NAME
    assert second == f"{NAME}-{int(NOW + 22) // 60}"
    moments = [float(str(payload["detected_at"])) for payload in world.executions.started.values()]
    assert 20 <= moments[1] - moments[0] <= 22


def test_a_failover_that_was_started_already_is_not_asked_for_again() -> None:
    async def script(world: World) -> None:
        world.executions.started[NAME] = {}
        world.die()
        report = await world.begin(20)
        assert report.started == (NAME,)

    assert play(script).executions.refused == [NAME]


@pytest.mark.parametrize("slow", [False, True], ids=["fleet answers", "fleet hangs"])
def test_the_older_run_ends_once_the_later_has_settled_what_it_saw_and_never_before(slow: bool) -> None:
    async def script(world: World) -> None:
        older = world.begin(60)
        await asyncio.sleep(10.5)
        if slow:
            world.wedge()
        taken_over_at: list[float] = []
        take_over = world.table.take_over

        def noted(generation: int) -> None:
            taken_over_at.append(world.clock.now())
            take_over(generation)

        world.table.take_over = noted  # type: ignore[method-assign]  # to note the time
        later = world.begin(20)
        asked_before = len(world.prober.asked)
        report = await older
        assert (report.generation, report.reason) == (1, "a later run has the watch")
        assert taken_over_at
        assert taken_over_at[0] <= world.clock.now()
        assert taken_over_at[0] - NOW >= (12.5 if slow else 10.5)
        assert len(world.prober.asked) > asked_before
        report = await later
        assert (report.generation, report.reason) == (2, "the time is up and no later run has the watch")
        assert report.passes >= 15

    play(script)


@pytest.mark.parametrize("how", [REFUSES, HANGS], ids=["refuses", "hangs"])
def test_a_replica_that_is_down_does_not_seem_up_when_the_watch_is_handed_on(how: Behaviour) -> None:
    """A recovery waits until a replica was down for a while: it would wait anew each minute."""

    async def script(world: World) -> None:
        older = world.begin(60)
        world.replicas(how, count=1)
        await asyncio.sleep(10.5)
        for _ in range(3):
            later = world.begin(30)
            assert (await older).reason == "a later run has the watch"
            older = later
            await asyncio.sleep(8)
        await older

    found = [each for each in play(script).table.written if each.cluster_id == ACTIVE]
    assert {each.passing for each in found} == {3}
    assert {each.verdict for each in found} == {Verdict.DEGRADED}


def test_a_run_that_never_settles_what_it_sees_takes_the_watch_all_the_same() -> None:
    """A replica that appears with each pass: none of them was asked often enough."""

    async def script(world: World) -> None:
        run = world.begin(12)
        for number in range(12):
            gone = [replace(address, url=f"{address.url}{number}") for address in addresses(ACTIVE, 4)]
            for address in gone:
                world.prober.set(address.url, REFUSES)
            world.table.known = replace(world.table.known, replicas={ACTIVE: gone})
            await asyncio.sleep(1)
        await run

    world = play(script)
    assert world.table.known.relay == 1
    assert world.table.written


def test_a_later_run_that_dies_in_its_first_pass_does_not_end_the_older() -> None:
    async def script(world: World) -> None:
        older = world.begin(20)
        await asyncio.sleep(5)
        world.table.faults.fail("take_over", UnavailableError("no answer"), times=1)
        with pytest.raises(UnavailableError):
            await world.begin(20)
        assert (await older).reason == "the time is up and no later run has the watch"

    play(script)


def test_a_failover_decided_in_the_last_moment_is_started_before_the_run_ends(caplog: pytest.LogCaptureFixture) -> None:
    """The probes that are under way when the time is up still count, and what they decide is done."""

    async def script(world: World) -> None:
        run = world.begin(4.9)
        await asyncio.sleep(3.1)
        world.replicas(REFUSES)
        world.entry(HANGS)  # asked at 4.0 and 4.5: the last probe of all decides, at 6.0
        report = await run
        assert report.started == (NAME,)
        assert f"failover {NAME} started" in caplog.text

    world = play(script, World(view(config=fleet(detection={"failures": 2}))))
    assert world.started_after(6.0) >= 0


# A blind watch


def test_a_table_that_stops_answering_makes_the_watch_blind_until_it_recovers() -> None:
    async def script(world: World) -> None:
        run = world.begin(40)
        await asyncio.sleep(3.5)
        world.table.faults.fail("view", UnavailableError("no answer"))
        await asyncio.sleep(1)
        world.die()
        await asyncio.sleep(15)
        assert not world.executions.started
        assert world.table.known.assessments[ACTIVE].verdict is Verdict.UNKNOWN
        assert "blind" in world.table.known.assessments[ACTIVE].reason
        world.table.faults.mend("view")
        await asyncio.sleep(3.2)
        assert list(world.executions.started) == [NAME]
        await run

    play(script)


@pytest.mark.parametrize("broken", [World.die, World.wedge])
def test_what_failed_while_the_watch_was_blind_moves_nothing_once_it_sees_again(
    broken: Callable[[World], None],
) -> None:
    async def script(world: World) -> None:
        run = world.begin(30)
        await asyncio.sleep(3.5)
        world.table.faults.fail("view", UnavailableError("no answer"))
        broken(world)
        await asyncio.sleep(8)
        assert world.table.known.assessments[ACTIVE].verdict is Verdict.UNKNOWN
        world.table.faults.mend("view")
        world.heal()
        await run
        assert world.table.known.assessments[ACTIVE].verdict is Verdict.HEALTHY

    assert not play(script).executions.started


def test_a_state_that_cannot_be_read_is_watched_by_what_was_known() -> None:
    async def script(world: World) -> None:
        run = world.begin(20)
        await asyncio.sleep(3.5)
        world.table.faults.fail("view", CorruptStateError("schema version 9"))
        world.die()
        await run

    assert list(play(script).executions.started) == [NAME]


def test_a_run_that_cannot_read_its_first_view_raises() -> None:
    async def script(world: World) -> None:
        world.table.faults.fail("view", ThrottledError("slow down"))
        with pytest.raises(ThrottledError):
            await world.begin(5)

    play(script)


@pytest.mark.parametrize("error", [UnavailableError("no answer"), AccessDeniedError("states:StartExecution")])
def test_a_start_that_fails_is_tried_again(error: Exception) -> None:
    async def script(world: World) -> None:
        run = world.begin(15)
        await asyncio.sleep(3.5)
        world.executions.faults.fail("start_failover", error, times=2)
        world.die()
        await run

    world = play(script)
    assert list(world.executions.started) == [NAME]
    assert world.started_after(3.5) <= 4.0


# Assessments


def test_assessments_are_written_on_change_and_every_five_seconds() -> None:
    async def script(world: World) -> None:
        run = world.begin(16)
        await asyncio.sleep(7.5)
        world.replicas(REFUSES)
        await run

    written = [found for found in play(script).table.written if found.cluster_id == ACTIVE]
    times = [round(found.assessed_at - NOW) for found in written]
    verdicts = [found.verdict for found in written]
    assert verdicts[:3] == [Verdict.HEALTHY, Verdict.HEALTHY, Verdict.DEGRADED]
    # What the pass at 8 s finds, and what it asks again within the second, is written by the pass after it.
    assert times == [0, 5, 9, 14]


def test_assessments_are_never_older_than_half_of_what_counts_as_fresh() -> None:
    """A standby whose last assessment is too old is not proven: it must not get so old while the watch runs."""

    async def script(world: World) -> None:
        run = world.begin(20)
        await asyncio.sleep(1)
        while not run.done():
            age = world.clock.now() - world.table.known.assessments[STANDBY].assessed_at
            assert age <= 3.0
            await asyncio.sleep(0.25)

    play(script, World(view(config=fleet(detection={"failures": 3, "fresh_seconds": 3}))))


def test_assessments_that_could_not_be_written_are_written_with_the_next_pass() -> None:
    async def script(world: World) -> None:
        world.table.faults.fail("write_assessments", UnavailableError("no answer"), times=2)
        await world.begin(4.5)

    first = play(script).table.written[0]
    assert first.assessed_at - NOW == pytest.approx(2.0, abs=0.2)


# Probes


def test_every_path_is_probed_each_second_the_entry_with_its_header() -> None:
    async def script(world: World) -> None:
        await world.begin(9.5)

    asked = play(script).prober.asked
    for address in [*addresses(ACTIVE, 4), *addresses(STANDBY, 2)]:
        assert asked.count((address.url, "")) == 10
    for cluster_id in (ACTIVE, STANDBY):
        assert asked.count((ENTRY_URL, cluster_id)) == 10
    assert PROBE_HEADER == "x-standfast-probe"


def test_a_healthy_replica_is_not_asked_for_its_counter() -> None:
    async def script(world: World) -> None:
        await world.begin(5)

    assert not play(script).prober.progress_read


def test_a_replica_that_becomes_slow_is_asked_once_more_and_then_once_a_second_again() -> None:
    url = addresses(ACTIVE, 1)[0].url
    world = breaks(lambda world: world.prober.set(url, Behaviour(seconds=0.8)), 3.5, then=6.1)
    assert world.prober.asked.count((url, "")) == 10 + 1
    assert not world.executions.started


def test_hanging_replicas_do_not_pile_up_probes() -> None:
    world = breaks(lambda world: world.replicas(HANGS), 3.5, then=20)
    each = world.prober.asked.count((addresses(ACTIVE, 1)[0].url, ""))
    assert each <= 3 + 2 + 20 / 1.5 * 3


def test_replicas_that_are_registered_later_are_probed_from_the_next_pass_on() -> None:
    async def script(world: World) -> None:
        run = world.begin(10)
        await asyncio.sleep(3.5)
        registered: Mapping[str, Sequence[ReplicaAddress]] = {
            ACTIVE: addresses(ACTIVE, 5),
            STANDBY: addresses(STANDBY, 2),
        }
        world.table.write_replicas(registered, now=world.clock.now())
        await run

    world = play(script)
    assert (addresses(ACTIVE, 5)[4].url, "") in world.prober.asked
    assert world.table.known.assessments[ACTIVE].reason.startswith("5 of 5 replicas pass")


def test_a_probe_under_way_when_its_replica_disappears_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """The replica hangs and is deregistered: no verdict on it stays, and nothing fails."""

    async def script(world: World) -> None:
        run = world.begin(14)
        await asyncio.sleep(3.03)
        for address in addresses(ACTIVE, 4)[:2]:
            world.prober.set(address.url, HANGS)
        await asyncio.sleep(1.5)
        left = {ACTIVE: addresses(ACTIVE, 4)[2:], STANDBY: addresses(STANDBY, 2)}
        world.table.write_replicas(left, now=world.clock.now())
        watch_from = len(world.table.written)
        await run
        assert {found.expected for found in world.table.written[watch_from:] if found.cluster_id == ACTIVE} == {4}

    with caplog.at_level(logging.ERROR, "standfast.watch"):
        world = play(script)
    assert not caplog.records
    assert not world.executions.started
    last = [found for found in world.table.written if found.cluster_id == ACTIVE][-1]
    assert last.reason.startswith("2 of 4 replicas pass")
    assert "saturated" not in last.reason


def test_an_answer_that_comes_late_from_a_gone_replica_is_not_judged() -> None:
    async def script(world: World) -> None:
        watch = world.watch()
        run = asyncio.create_task(watch.run(world.clock.now() + 14))
        await asyncio.sleep(3.5)
        world.replicas(Behaviour(seconds=1.4))
        await asyncio.sleep(1.0)  # asked at 4.0, deregistered before it answers at 5.4
        world.table.write_replicas({STANDBY: addresses(STANDBY, 2)}, now=world.clock.now())
        await asyncio.sleep(1.0)
        assert watch.assessments()[ACTIVE].passing == 0
        await run

    play(script)


def test_a_fault_in_one_part_is_logged_and_the_watch_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def script(world: World) -> None:
        run = world.begin(10)
        await asyncio.sleep(2.5)
        world.table.faults.fail("write_assessments", RuntimeError("a fault in the code"), times=1)
        await asyncio.sleep(2)
        world.die()
        await run

    world = play(script)
    assert "a part of the watch failed" in caplog.text
    assert list(world.executions.started) == [NAME]


def test_verdicts_and_decisions_are_logged_when_they_change(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "standfast.watch"):
        breaks(World.die, 3.5)
    said = [found.getMessage() for found in caplog.records]
    assert said.count("use1-a is healthy: 4 of 4 replicas pass; the entry answers for it") == 1
    assert sum(line.startswith("use1-a is unhealthy: 1 of 4 replicas pass") for line in said) == 1
    assert sum(line.startswith("decision start: use1-a is dead") for line in said) == 1
    assert sum(line.startswith(f"failover {NAME} started") for line in said) == 1


def test_a_wrong_model_is_not_excused_by_being_busy() -> None:
    busy = Behaviour(Outcome.WRONG_MODEL, 0.05, "llama-2", progress=lambda now: 30 * (now - NOW))

    def another_model(world: World) -> None:
        world.replicas(busy)
        world.entry(busy)

    world = breaks(another_model, 3.5)
    assert list(world.executions.started) == [NAME]


def test_a_fleet_that_is_configured_anew_is_watched_by_the_new_configuration() -> None:
    async def script(world: World) -> None:
        run = world.begin(12)
        await asyncio.sleep(3.5)
        slower: FleetConfig = fleet(detection={"failures": 6, "entry_failures": 6})
        world.table.write_config(slower, seen_version=1)
        world.die()
        await run

    world = play(script)
    assert world.started_after(3.5) >= 3.0


# What alarms look at


def test_the_watch_counts_its_passes_every_five_seconds() -> None:
    async def script(world: World) -> None:
        await world.begin(21)

    world = play(script)
    moments = [at for at, _, metrics, _ in world.metrics.put_at if "WatchPasses" in metrics]
    assert all(4.4 <= later - earlier <= 5.6 for earlier, later in pairwise(moments))
    assert 19 <= sum(world.metrics.values("WatchPasses")) <= 21
    assert set(world.metrics.values("ActiveDown")) == {0}
    assert set(world.metrics.values("ReplicasPassing", ACTIVE)) == {4}
    assert {resolution for _, _, _, resolution in world.metrics.put_at} == {1}


def test_a_dead_active_cluster_is_a_figure_within_five_seconds_of_the_verdict() -> None:
    world = breaks(World.die, 3.5)
    assert world.metrics.values("ActiveDown")[-1] == 1
    assert world.metrics.values("ReplicasPassing", ACTIVE)[-1] == 0


def test_a_dead_standby_is_not_the_active_cluster() -> None:
    def standby_dies(world: World) -> None:
        world.replicas(REFUSES, STANDBY, 2)
        world.entry(BAD_GATEWAY, STANDBY)

    assert set(breaks(standby_dies, 3.5).metrics.values("ActiveDown")) == {0}


def test_a_blind_watch_says_that_it_still_watches() -> None:
    def loses_the_table(world: World) -> None:
        world.table.faults.fail("view", UnavailableError("no answer"))

    assert sum(breaks(loses_the_table, 3.5, 20).metrics.values("WatchPasses")) >= 18


def canaries(world: World) -> dict[str, int]:
    return {name: int(sum(world.metrics.values(name))) for name in COUNTED}


def test_every_canary_through_the_entry_is_counted_once_for_the_ledger() -> None:
    async def script(world: World) -> None:
        await world.begin(21)

    counted = canaries(play(script))
    assert counted == {"Canaries": 21, "CanariesFailed": 0, "IdleCanaries": 21, "IdleCanariesFailed": 0}


def test_canaries_to_a_cluster_with_traffic_and_to_one_without_are_counted_apart() -> None:
    counted = canaries(breaks(World.die, 3.5))
    assert 0 < counted["CanariesFailed"] < counted["Canaries"]
    assert counted["IdleCanariesFailed"] == 0

    def standby_dies(world: World) -> None:
        world.replicas(REFUSES, STANDBY, 2)
        world.entry(BAD_GATEWAY, STANDBY)

    counted = canaries(breaks(standby_dies, 3.5))
    assert counted["CanariesFailed"] == 0
    assert 0 < counted["IdleCanariesFailed"] < counted["IdleCanaries"]


def test_what_the_load_balancer_did_not_count_is_not_taken_out_of_its_count() -> None:
    """A canary to an idle cluster that hangs was given up by us: no answer 5xx, and no failure in ELB's metrics."""
    counted = canaries(breaks(lambda world: world.entry(HANGS, STANDBY), 3.5))
    assert counted["IdleCanariesFailed"] == 0


def test_a_blind_watch_counts_no_canaries() -> None:
    def loses_the_table(world: World) -> None:
        world.table.faults.fail("view", UnavailableError("no answer"))
        world.die()

    assert canaries(breaks(loses_the_table, 3.5, 20))["CanariesFailed"] == 0


# The second way in


def look(prepare: Callable[[World], None], world: World | None = None) -> tuple[World, StartDecision]:
    decisions: list[StartDecision] = []

    async def script(world: World) -> None:
        prepare(world)
        decisions.append(await world.watch_for("alarm standfast-watch-silent").look(world.clock.now() + 8))

    return play(script, world), decisions[0]


def test_a_look_at_a_healthy_fleet_ends_after_two_passes_and_starts_nothing() -> None:
    world, decision = look(lambda _: None)
    assert (decision.action, world.executions.started) == (StartAction.NONE, {})
    assert "use1-a is healthy" in decision.reason
    assert world.table.known.assessments[STANDBY].verdict is Verdict.HEALTHY


@pytest.mark.parametrize("fault", [World.die, World.wedge], ids=["dead", "wedged"])
def test_a_look_at_a_dead_cluster_starts_the_execution_that_the_watch_would_start(
    fault: Callable[[World], None],
) -> None:
    world, decision = look(fault)
    assert decision.action is StartAction.START
    ((name, payload),) = world.executions.started.items()
    assert (name, payload["trigger"]) == (NAME, "alarm standfast-watch-silent")
    assert payload["incident_id"] == "us-east-1-use1-a-v7"


def test_what_a_look_saw_is_written_so_that_a_standby_is_proven_without_the_watch() -> None:
    world, _ = look(World.die)
    written = world.table.known.assessments
    assert (written[ACTIVE].verdict, written[STANDBY].verdict) == (Verdict.UNHEALTHY, Verdict.HEALTHY)


def test_both_ways_in_make_one_execution() -> None:
    async def script(world: World) -> None:
        run = world.begin(10)
        await asyncio.sleep(3.5)
        world.die()
        await world.watch_for("alarm standfast-active-down").look(world.clock.now() + 8)
        await run

    world = play(script)
    assert list(world.executions.started) == [NAME]
    assert set(world.executions.refused) == {NAME}


def test_a_look_while_another_execution_is_at_work_ends_at_once() -> None:
    world, decision = look(World.die, World(view(record(held=lease(4, EXECUTION)))))
    assert (decision.action, world.executions.started) == (StartAction.HOLD, {})


def test_a_blind_look_starts_nothing() -> None:
    """The state table is the control: who cannot reach it does not know whether the fleet or itself is cut off."""

    async def script(world: World) -> None:
        world.table.faults.fail("view", UnavailableError("no answer"))
        world.die()
        with pytest.raises(UnavailableError):
            await world.watch_for("alarm").look(world.clock.now() + 8)

    assert not play(script).executions.started


def test_an_alarm_about_slow_replicas_starts_nothing() -> None:
    world, decision = look(lambda world: world.wedge(lambda now: now))
    assert (decision.action, world.executions.started) == (StartAction.NONE, {})
    assert "saturated, not dead" in decision.reason
