"""Standfast in the simulation: it sees as the deployed watch does, moves as the deployed decisions say, is counted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from sandbox.simulation import against, rates, settings, shape, words
from sandbox.simulation.agenda import Agenda
from sandbox.simulation.control import Control
from sandbox.simulation.front import FrontDoor
from sandbox.simulation.referee import FALSE, MISSED, RIGHT
from sandbox.simulation.region_moves import CALLED, EVACUATED, RETURNED, RegionMoves
from sandbox.simulation.script import BEGINNING, Fault, Kind, Reach
from sandbox.simulation.study import study
from sandbox.simulation.world import World
from sandbox.simulation.year import STANDFAST, Setting
from standfast.fleet import Role
from standfast.watch import PASS_SECONDS
from tests.unit.test_watch import PHASES, breaks
from tests.unit.test_watch import World as WatchWorld

CONFIG = shape.read_config()
RATES = rates.rates() | {"cluster_coverage": 1.0}
WEST, A, B = "us-west-2", "use1-a", "use1-b"
EAST = "us-east-1"
HOUR = 3600.0


class Stage:
    """A fleet under Standfast, and faults at times counted from its beginning."""

    def __init__(self, **values: float) -> None:
        self.agenda = Agenda(BEGINNING)
        self.world = World(shape.regions(CONFIG), RATES | values, self.agenda, 1, 1)
        self.door = FrontDoor(self.world)
        self.controls = {
            name: Control(self.world, region, CONFIG, PASS_SECONDS) for name, region in self.world.regions.items()
        }
        self.east = self.controls[EAST]
        self._faults = 0

    def strike(
        self, at: float, kind: Kind, reach: Reach, cluster: str = "", *, replica: int = 0, lasts: float = 0.0,
        region: str = EAST, lots: tuple[float, float, float] = (0.9, 0.9, 0.9),
    ) -> None:  # fmt: skip
        self._faults += 1
        fault = Fault(self._faults, BEGINNING + at, kind, reach, region, cluster, replica, lasts, lots)
        self.agenda.at(fault.at, partial(self.world.strike, fault))

    def run(self, until: float) -> Stage:
        self.agenda.run(BEGINNING + until)
        self.world.books.advance(self.agenda.now)
        return self


@pytest.mark.parametrize("kind", [Kind.CRASH, Kind.HANG])
def test_a_dead_cluster_is_seen_as_soon_as_the_deployed_watch_sees_it(kind: Kind) -> None:
    fall = WatchWorld.die if kind is Kind.CRASH else WatchWorld.wedge
    deployed = [breaks(fall, at).started_after(at) for at in PHASES]
    simulated = []
    for at in PHASES:
        stage = Stage()
        phase = stage.east.vantage.phase  # the passes of the deployed watch begin 0.04 s after it does
        stage.strike(100 + phase - 0.04 + at, kind, Reach.CLUSTER, A)
        stage.run(200)
        simulated.append(stage.east.moves[0].decided_at - BEGINNING - (100 + phase - 0.04 + at))
    assert simulated == pytest.approx(deployed, abs=0.1)  # three answers one after another, of 0.05 s and of 0.01 s


def test_a_dead_cluster_is_left_for_its_standby_and_mended_behind() -> None:
    stage = Stage()
    stage.strike(100, Kind.HANG, Reach.CLUSTER, A)
    stage.run(110)
    assert stage.world.regions[EAST].traffic == B
    assert stage.east.referee.found == {RIGHT: 1}
    stage.run(HOUR)
    assert stage.east.record.desired.roles == {A: Role.STANDBY, B: Role.ACTIVE}
    assert stage.world.regions[EAST].clusters[A].working == 4
    assert stage.east.record.lease.holder is None


def test_with_nothing_to_go_to_it_gives_up_waits_longer_each_time_and_tells() -> None:
    stage = Stage()
    stage.strike(100, Kind.OUTSIDE, Reach.REGION, lasts=600)
    stage.run(500)
    assert (stage.world.regions[EAST].traffic, stage.east.moves) == (A, [])
    assert stage.east.gave_up == stage.east.record.attempts == 3  # after 60 and 120 s
    assert stage.east.pages >= 3


def test_one_replica_of_four_is_mended_in_place() -> None:
    stage = Stage()
    stage.strike(100, Kind.HANG, Reach.REPLICA, A, replica=2)
    stage.run(2 * HOUR)
    assert (stage.east.executions, stage.world.regions[EAST].clusters[A].working) == (0, 4)
    assert stage.world.regions[EAST].clusters[A].replicas[2].registered


def test_a_crowd_whose_engines_say_that_they_work_moves_nothing() -> None:
    stage = Stage()
    stage.strike(100, Kind.STALL, Reach.REGION, lasts=300)
    assert stage.run(500).east.executions == 0


def test_a_blip_of_one_region_s_watch_is_denied_by_another_s_and_moves_nothing() -> None:
    stage = Stage()
    stage.strike(100, Kind.BLIP, Reach.REGION, lasts=20)
    stage.run(200)
    assert stage.east.moves == []
    assert stage.east.gave_up == 0


def test_a_move_from_users_who_are_served_is_counted_as_false() -> None:
    """A crowd: every canary is late, everywhere, and no engine tells its counter."""
    stage = Stage()
    stage.strike(100, Kind.STALL, Reach.REGION, lasts=30, lots=(0.0, 0.0, 1.0))
    stage.run(200)
    assert stage.east.referee.found == {FALSE: 1}
    assert sum(stage.world.books.lost.values()) == 0


def test_a_failure_while_standfast_is_away_is_missed_and_users_go_to_the_other_region() -> None:
    stage = Stage()
    stage.strike(100, Kind.PLATFORM, Reach.REGION, lasts=2 * HOUR)
    stage.strike(200, Kind.CRASH, Reach.CLUSTER, A)
    stage.run(370)  # no engine is back before
    lost = sum(stage.world.books.lost.values()) * 2  # half of the users are of this Region
    assert 50 <= lost <= 60  # 20 to 30 s until three checks have failed, 30 s of what clients remember
    stage.run(2 * HOUR)
    assert stage.east.referee.found == {MISSED: 1}
    assert stage.east.executions == 0


def test_a_lost_region_costs_its_users_what_route_53_takes() -> None:
    stage = Stage()
    stage.strike(100, Kind.REGION, Reach.REGION, lasts=HOUR)
    stage.run(2 * HOUR)
    assert stage.world.users == {EAST: EAST, WEST: WEST}
    assert 50 <= sum(stage.world.books.lost.values()) * 2 <= 60


def test_its_times_are_those_of_the_sandbox() -> None:
    """The medians of README, Figures: cluster-failover in two Regions, engine-wedged; 10 to 20 runs."""
    measured = {Kind.CRASH: [(1.19, 1.05, 5.36), (1.22, 1.10, 5.72)], Kind.HANG: [(3.01, 1.09, 7.30)]}
    for kind, rows in measured.items():
        simulated = against.scripted(kind, CONFIG, RATES, 1, trials=30)
        for row in rows:
            assert list(simulated.values()) == pytest.approx(list(row), rel=against.WITHIN)


def test_a_study_is_the_same_on_any_number_of_processes() -> None:
    base = Setting("route53", CONFIG, RATES)
    rows = {"route53": base, "paging": replace(base, policy="paging")}
    one, two = (study(rows, 12, 3, processes, lambda _: None) for processes in (1, 2))
    for name, tally in one.items():
        assert tally.outcomes == two[name].outcomes
    assert {at for at, _ in one["paging"].outcomes.values()} == {0, 1, 2}


def test_equal_settings_differ_by_nothing_and_the_report_says_what_is_tracked() -> None:
    base = Setting(STANDFAST, CONFIG, RATES)
    rows = {STANDFAST: base, "again": replace(base), "route53": replace(base, policy="route53")}
    tallies = study(rows, 1, 3, 1, lambda _: None)
    assert tallies["again"].minus(tallies[STANDFAST], lambda each: each.lost_seconds) == (0.0, 0.0)
    assert tallies["route53"].outcomes[0][1].counts["faults"] == tallies[STANDFAST].outcomes[0][1].counts["faults"]
    found = {name: tallies[name] for name in (STANDFAST, "route53")}
    figures = words.figures(found, 1.0)
    assert figures["fleet_years"] == 1
    assert figures["availability_low"] <= figures["availability"] <= figures["availability_high"]
    assert sum(figures["minutes_per_year_by_cause"].values()) == pytest.approx(found[STANDFAST].minutes[0])
    text = "\n".join(words.report(found, [], 1.0, 3))
    assert "false failovers" in text
    assert "Route 53 alone" in text


def test_every_setting_is_a_fleet_that_may_be_deployed() -> None:
    found = settings.variants(Setting(STANDFAST, CONFIG, RATES))
    assert found[settings.DEFAULT].config == CONFIG
    sizes = {name: shape.regions(each.config)[0].clusters[1].replicas for name, each in found.items()}
    assert sizes["standbys of 4 replicas"] == 4
    assert len({repr((each.config, each.rates, each.pass_seconds)) for each in found.values()}) == len(found)


class Fleet(Stage):
    """With the watch of the Regions by each other."""

    def __init__(self, **values: float) -> None:
        super().__init__(**values)
        self.moves = RegionMoves(self.world, self.controls, CONFIG, self.door)

    @property
    def users(self) -> dict[str, str]:
        return self.world.users


def test_a_lost_region_is_left_before_its_front_door_is_seen_shut_and_a_person_brings_its_users_back() -> None:
    fleet = Fleet()
    fleet.strike(100, Kind.REGION, Reach.REGION, lasts=HOUR)
    wait = RATES["evacuate_seconds"] + RATES["condemned_seconds"] + RATES["route53_ttl_seconds"] / 2
    left = CONFIG.region_moves.heartbeat_seconds + PASS_SECONDS + wait
    fleet.run(100 + left - 1)
    assert fleet.users == {EAST: EAST, WEST: WEST}
    fleet.run(100 + left + 1)
    assert fleet.users == {EAST: WEST, WEST: WEST}
    fleet.run(100 + HOUR + RATES["return_hours"] * HOUR - 1)
    assert fleet.users[EAST] == WEST
    fleet.run(102 + HOUR + RATES["return_hours"] * HOUR)
    assert fleet.users == {EAST: EAST, WEST: WEST}
    assert fleet.moves.found == {EVACUATED: 1, RETURNED: 1}


def test_a_region_whose_engines_all_hang_and_say_that_they_are_well_gives_itself_up() -> None:
    """No front door sees that."""
    fleet = Fleet()
    fleet.strike(100, Kind.HANG, Reach.REGION, lots=(0.9, 0.9, 0.9))
    fleet.run(100 + 90)
    assert fleet.users[EAST] == WEST
    assert fleet.door.found == {}


def test_a_crowd_moves_no_region_while_engines_say_that_they_work() -> None:
    fleet = Fleet()
    fleet.strike(100, Kind.STALL, Reach.REGION, lasts=300, lots=(0.9, 0.9, 0.9))
    fleet.run(500)
    assert (fleet.users, fleet.moves.found) == ({EAST: EAST, WEST: WEST}, {})


def test_a_region_is_not_left_for_one_that_fails_too_and_a_person_is_called() -> None:
    fleet = Fleet()
    fleet.strike(100, Kind.OUTSIDE, Reach.REGION, region=WEST, lasts=HOUR)
    fleet.strike(100, Kind.OUTSIDE, Reach.REGION, lasts=HOUR)
    fleet.run(1000)
    assert fleet.users == {EAST: EAST, WEST: WEST}
    assert fleet.moves.found == {CALLED: 2}


def test_what_standfast_runs_on_going_away_moves_nobody() -> None:
    fleet = Fleet()
    fleet.strike(100, Kind.PLATFORM, Reach.REGION, lasts=HOUR)
    fleet.run(2 * HOUR)
    assert (fleet.users, fleet.moves.found) == ({EAST: EAST, WEST: WEST}, {})
