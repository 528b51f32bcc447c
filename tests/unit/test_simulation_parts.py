"""The simulation's parts: its events, its chance, its faults, its samples; and simple fleets against closed forms."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from statistics import fmean
from xml.etree import ElementTree as ET

import pytest

from sandbox.simulation import rates, settings, shape
from sandbox.simulation.agenda import Agenda
from sandbox.simulation.chance import around, exponential, lot, spread
from sandbox.simulation.chart import chart
from sandbox.simulation.peers import Peer
from sandbox.simulation.script import BEGINNING, HOUR, YEAR, Kind, Reach, script
from sandbox.simulation.study import STRATA, chances, losses, stratum, weighed
from sandbox.simulation.world import World
from sandbox.simulation.year import Setting
from standfast import fault_rates
from standfast.availability import Part, k_of_n
from standfast.errors import InvalidInputError

CONFIG = shape.read_config()
SHAPES = shape.regions(CONFIG)
RATES = rates.rates()
NEVER = {name: 1e15 for name in RATES if name.endswith("mtbf_hours")}


# Events


def test_events_happen_in_the_order_of_their_times_and_then_of_their_entry() -> None:
    agenda, heard = Agenda(), list[object]()
    agenda.at(2.0, lambda: heard.append("second"))
    agenda.at(1.0, lambda: heard.append("first"))
    agenda.at(2.0, lambda: heard.append("third"))
    agenda.run(10.0)
    assert (heard, agenda.now, agenda.happened) == (["first", "second", "third"], 10.0, 3)


def test_what_is_cancelled_or_due_later_does_not_happen() -> None:
    agenda, heard = Agenda(), list[object]()
    event = agenda.at(1.0, lambda: heard.append("cancelled"))
    agenda.at(5.0, lambda: heard.append("later"))
    event.cancel()
    agenda.run(5.0)
    assert heard == []
    agenda.run(5.1)
    assert heard == ["later"]


def test_an_event_may_enter_others_and_what_is_past_happens_now() -> None:
    agenda, heard = Agenda(), list[object]()

    def enters() -> None:
        agenda.at(1.0, lambda: heard.append(agenda.now))

    agenda.at(3.0, enters)
    agenda.run(4.0)
    assert heard == [3.0]


# Chance


def test_a_lot_belongs_to_its_key_and_lots_are_spread_alike() -> None:
    assert lot(1, 2, 3) == lot(1, 2, 3)
    assert len({lot(1, 2, 3), lot(1, 2, 4), lot(1, 3, 2), lot(2, 1, 3), lot(0, 0), lot(0)}) == 6
    drawn = [lot(7, number) for number in range(20_000)]
    assert all(0 <= each < 1 for each in drawn)
    assert fmean(drawn) == pytest.approx(0.5, abs=0.01)
    counts = Counter(int(each * 10) for each in drawn)
    assert max(counts.values()) < 1.1 * min(counts.values())


def test_durations_have_the_mean_that_was_asked_for() -> None:
    drawn = [(lot(1, number), lot(2, number)) for number in range(20_000)]
    assert fmean(exponential(5.0, each) for each, _ in drawn) == pytest.approx(5.0, rel=0.02)
    assert fmean(spread(5.0, each) for each, _ in drawn) == pytest.approx(5.0, rel=0.01)
    assert {2.5 <= spread(5.0, each) <= 7.5 for each, _ in drawn} == {True}
    assert sorted(around(5.0, 0.4, *each) for each in drawn)[10_000] == pytest.approx(5.0, rel=0.02)


# Rates


def test_every_row_says_where_it_is_from() -> None:
    for row in rates.rows().values():
        assert row.basis in {"published", "promised", "measured", "judgement"}, row
        assert row.source
        assert row.about


def test_rows_that_the_calculator_has_too_are_its_own() -> None:
    both = set(rates.rows()) & set(fault_rates.catalogue())
    assert {"gpu_mtbf_hours", "beta", "region_mtbf_hours"} <= both
    assert {name: rates.rows()[name] for name in both} == {name: fault_rates.catalogue()[name] for name in both}


@pytest.mark.parametrize(
    ("given", "words"),
    [({"gpu": 1.0}, "no such assumption"), ({"beta": 1.5}, "0 to 1"), ({"node_mtbf_hours": 0.0}, "above 0")],
)
def test_an_assumption_that_cannot_be_is_refused_with_its_mend(given: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        rates.rates(given)


# Faults


def test_a_year_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert script(SHAPES, RATES, 1, 5, 1) == script(SHAPES, RATES, 1, 5, 1)
    assert script(SHAPES, RATES, 1, 5, 1) != script(SHAPES, RATES, 2, 5, 1)
    assert script(SHAPES, RATES, 1, 5, 1) != script(SHAPES, RATES, 1, 6, 1)


def test_another_rate_of_one_source_leaves_all_other_faults_as_they_are() -> None:
    before = script(SHAPES, RATES, 1, 5, 0)
    after = script(SHAPES, RATES | {"blip_mtbf_hours": 100.0}, 1, 5, 0)
    assert [each for each in before if each.kind is not Kind.BLIP] == [
        each for each in after if each.kind is not Kind.BLIP
    ]


def test_a_larger_standby_leaves_the_faults_of_all_others_as_they_are() -> None:
    base = settings.variants(Setting("standfast", CONFIG, RATES))["standbys of 4 replicas"]
    larger = script(shape.regions(base.config), RATES, 1, 5, 1)
    added = [each for each in larger if each.cluster in {"use1-b", "usw2-b"} and each.replica >= 2]
    assert added
    assert [each for each in larger if each not in added] == script(SHAPES, RATES, 1, 5, 1)


def test_faults_are_as_many_as_their_rates_say() -> None:
    years = 20
    found = Counter((fault.kind, fault.reach) for year in range(years) for fault in script(SHAPES, RATES, 3, year, 0))
    replicas, hours = 12, YEAR / HOUR
    engines = replicas * years * hours / RATES["engine_mtbf_hours"] * (1 - RATES["beta"])
    alone = found[Kind.CRASH, Reach.REPLICA] + found[Kind.HANG, Reach.REPLICA]
    assert alone == pytest.approx(engines, abs=4 * math.sqrt(engines))
    assert found[Kind.HANG, Reach.REPLICA] == pytest.approx(0.4 * engines, abs=4 * math.sqrt(engines))
    nodes = replicas * years * hours / RATES["node_mtbf_hours"] * (1 - RATES["beta"])
    assert found[Kind.NODE, Reach.REPLICA] == pytest.approx(nodes, abs=4 * math.sqrt(nodes))


def test_as_many_regions_are_lost_as_the_stratum_has() -> None:
    for number in range(4):
        assert sum(fault.kind is Kind.REGION for fault in script(SHAPES, RATES, 1, 1, number)) == number


# Samples


def test_strata_have_their_shares_of_the_years_and_their_chances_are_whole() -> None:
    assert [Counter(stratum(each, 200) for each in range(200))[at] / 200 for at in range(3)] == list(STRATA)
    assert sum(chances(RATES, 2)) == pytest.approx(1)
    assert chances(RATES, 2)[1] == pytest.approx(2 * YEAR / HOUR / 69993 * math.exp(-2 * YEAR / HOUR / 69993))


def test_the_last_stratum_has_two_losses_or_more_as_poisson_has_them() -> None:
    expected = 0.8
    drawn = Counter(losses(2, expected, lot(4, number)) for number in range(20_000))
    tail = 1 - math.exp(-expected) * (1 + expected)
    assert min(drawn) == 2
    assert drawn[3] / 20_000 == pytest.approx(expected**3 / 6 * math.exp(-expected) / tail, abs=0.01)


def test_a_stratified_mean_weighs_each_stratum_by_its_chance() -> None:
    mean, half = weighed([[1.0, 3.0], [10.0, 10.0], []], [0.9, 0.1, 0.0])
    assert mean == pytest.approx(0.9 * 2 + 0.1 * 10)
    assert half == pytest.approx(1.96 * 0.9 * math.sqrt(2.0 / 2))


# Closed forms


class _FewerThan:
    """The share of time in which fewer than so many replicas of a cluster work."""

    def __init__(self, world: World, region: str, cluster: str, needed: int) -> None:
        self._world, self._cluster, self._needed = world, world.regions[region].clusters[cluster], needed
        self._since, self._few, self.seconds = world.agenda.now, False, 0.0
        world.regions[region].watchers.append(self)

    def changed(self, _cluster: str) -> None:
        now = self._world.agenda.now
        self.seconds += (now - self._since) * self._few
        self._since, self._few = now, self._cluster.working < self._needed


@pytest.mark.parametrize(("needed", "mttr"), [(2, 0.1), (3, 0.1), (4, 0.02)])
def test_k_of_n_by_events_is_k_of_n_by_formula(needed: int, mttr: float) -> None:
    """Engines that crash each half hour and are started again: M/G/infinity, up with chance e^(-rate x time)."""
    given = {"engine_mtbf_hours": 0.5, "engine_mttr_hours": mttr, "engine_hang_share": 0.0, "beta": 0.0}
    values = RATES | NEVER | given | {"changes_per_year": 0.0}
    agenda, seconds = Agenda(BEGINNING), 300 * HOUR
    world = World(SHAPES, values, agenda, 1, 1)
    for region in world.regions.values():
        Peer(world, region, "route53")
    few = _FewerThan(world, "us-east-1", "use1-a", needed)
    for fault in script(SHAPES[:1], values, 1, 1, 0, seconds):
        agenda.at(fault.at, partial(world.strike, fault))
    agenda.run(BEGINNING + seconds)
    unavailable = 1 - math.exp(-mttr / 0.5)
    expected = k_of_n(needed, 4, Part(unavailable, 0.0)).unavailability
    assert few.seconds / seconds == pytest.approx(expected, rel=0.15)


# The chart


def test_the_chart_has_a_bar_for_each_setting_but_the_default() -> None:
    drawn = ET.fromstring(chart({"as it is": (0.0, 0.0), "a <b>": (-5.0, 1.0), "c": (9.0, 2.0)}, 30.0))  # noqa: S314 - our own
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "a <b>" in texts
    assert "+9.0" in texts
    assert "as it is" not in texts
