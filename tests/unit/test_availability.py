"""Availability against closed forms, exact enumeration, and scipy's binomial and Markov chains."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, inf, isclose, nan, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from standfast.availability import (
    PERFECT,
    Part,
    Takeover,
    grouped,
    k_of_n,
    parallel,
    repairable,
    series,
    switchover,
    thinned,
)
from standfast.errors import InvalidInputError

HOURS = st.floats(min_value=1, max_value=1e6)
REPAIRS = st.floats(min_value=0.01, max_value=100)
SHARES = st.floats(min_value=0, max_value=1)
PARTS = st.builds(repairable, HOURS, REPAIRS)
SECONDS = st.floats(min_value=0, max_value=7200)


def exact(mtbf: int, mttr: int) -> tuple[Fraction, Fraction]:
    """Unavailability, and failures an hour of the time that it is up."""
    return Fraction(mttr, mtbf + mttr), Fraction(1, mtbf)


def steady(rates: dict[tuple[int, int], float], states: int) -> np.ndarray:
    """The steady state of a Markov chain by scipy: pi Q = 0, and all of pi is 1."""
    generator = np.zeros((states, states))
    for (here, there), rate in rates.items():
        generator[here, there] += rate
        generator[here, here] -= rate
    equations = np.vstack([generator.T, np.ones(states)])
    found, *_ = linalg.lstsq(equations, np.array([0.0] * states + [1.0]))
    return np.asarray(found)


def close(ours: float, theirs: float, tolerance: float = 1e-9) -> bool:
    return isclose(ours, theirs, rel_tol=tolerance, abs_tol=1e-15)


def test_a_repairable_part_is_up_for_mtbf_of_mtbf_and_mttr() -> None:
    gpu = repairable(199, 1)
    assert (gpu.unavailability, gpu.availability) == (0.005, 0.995)
    assert close(gpu.minutes_per_year, 43.8 * 60)  # as the original design has it
    assert close(gpu.mean_down_hours, 1)
    assert close(gpu.failures_per_year, 8760 / 200)


@pytest.mark.parametrize(
    ("mtbf", "mttr", "said"),
    [
        (0, 1, "mtbf_hours is 0"),
        (nan, 1, "mtbf_hours is nan"),
        (1, -1, "mttr_hours is -1"),
        (1, inf, "mttr_hours is inf"),
    ],
)
def test_a_time_that_cannot_be_is_refused_by_name(mtbf: float, mttr: float, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        repairable(mtbf, mttr)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), st.floats(1e-6, 0.999))
def test_k_of_n_is_scipys_binomial(needed_of: tuple[int, int], unavailability: float) -> None:
    needed, of = needed_of
    assert close(
        k_of_n(needed, of, Part(unavailability, 0)).unavailability,
        float(stats.binom.cdf(needed - 1, of, 1 - unavailability)),
        1e-7,  # scipy's own 1 - U has lost digits by then
    )


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), st.integers(1, 999))
def test_k_of_n_is_the_exact_sum_however_small(needed_of: tuple[int, int], mtbf: int) -> None:
    needed, of = needed_of
    down, rate = exact(mtbf, 1)
    by_hand = sum((comb(of, up) * (1 - down) ** up * down ** (of - up) for up in range(needed)), Fraction(0))
    boundary = comb(of, needed) * (1 - down) ** needed * down ** (of - needed) * needed * rate
    found = k_of_n(needed, of, repairable(mtbf, 1))
    assert close(found.unavailability, float(by_hand))
    assert close(found.failures_per_hour, float(boundary))


def test_how_often_k_of_n_fails_is_that_of_its_markov_chain() -> None:
    of, needed, mtbf, mttr = 5, 3, 40.0, 4.0
    down = {(up, up - 1): up / mtbf for up in range(1, of + 1)}
    back = {(up, up + 1): (of - up) / mttr for up in range(of)}
    chain = steady({**down, **back}, of + 1)
    found = k_of_n(needed, of, repairable(mtbf, mttr))
    assert close(found.unavailability, float(chain[:needed].sum()))
    assert close(found.failures_per_hour, float(chain[needed]) * needed / mtbf)


@pytest.mark.parametrize(("nodes", "each"), [(1, 3), (2, 2), (3, 1), (2, 3)])
def test_units_on_nodes_are_every_state_of_all_of_them_added_up(nodes: int, each: int) -> None:
    node, unit = exact(50, 3), exact(20, 1)
    parts = [node] * nodes + [unit] * (nodes * each)
    for needed in range(1, nodes * each + 1):

        def serves(state: tuple[bool, ...], needed: int = needed) -> bool:
            units = state[nodes:]
            return sum(units[at] for at in range(nodes * each) if state[at // each]) >= needed

        down, failures = Fraction(0), Fraction(0)
        for state in product((True, False), repeat=len(parts)):
            chance = prod((1 - u if up else u) for up, (u, _) in zip(state, parts, strict=True))
            if not serves(state):
                down += chance
                continue
            failures += chance * sum(
                rate
                for at, (_, rate) in enumerate(parts)
                if state[at] and not serves(tuple(up and here != at for here, up in enumerate(state)))
            )
        found = grouped(needed, nodes=nodes, units_per_node=each, node=repairable(50, 3), unit=repairable(20, 1))
        assert close(found.unavailability, float(down))
        assert close(found.failures_per_hour, float(failures))


@given(PARTS, PARTS)
def test_series_and_parallel_are_the_ends_of_k_of_n(left: Part, right: Part) -> None:
    for ours, theirs in (
        (series(left, left, left), k_of_n(3, 3, left)),
        (parallel(left, left, left), k_of_n(1, 3, left)),
    ):
        assert close(ours.unavailability, theirs.unavailability)
        assert close(ours.failures_per_hour, theirs.failures_per_hour)
    both, either = parallel(left, right), series(left, right)
    total = left.unavailability + right.unavailability
    assert close(both.unavailability + either.unavailability, total)
    assert close(both.failures_per_hour + either.failures_per_hour, left.failures_per_hour + right.failures_per_hour)


@given(st.integers(2, 10), PARTS)
def test_more_units_help_and_more_needed_units_do_not(of: int, unit: Part) -> None:
    for needed in range(1, of):
        down = k_of_n(needed, of, unit).unavailability
        assert down <= k_of_n(needed + 1, of, unit).unavailability
        assert k_of_n(needed, of + 1, unit).unavailability <= down * (1 + 1e-12)
        assert down <= k_of_n(of, of, unit).unavailability


@given(st.integers(1, 6), HOURS, REPAIRS, st.floats(1, 10))
def test_a_longer_repair_never_helps(needed: int, mtbf: float, mttr: float, factor: float) -> None:
    quick = k_of_n(needed, 6, repairable(mtbf, mttr)).unavailability
    slow = k_of_n(needed, 6, repairable(mtbf, mttr * factor)).unavailability
    assert quick <= slow * (1 + 1e-12)


def with_beta(needed: int, of: int, beta: float, mtbf: float, mttr: float) -> float:
    return series(k_of_n(needed, of, thinned(mtbf, mttr, 1 - beta)), thinned(mtbf, mttr, beta)).unavailability


@given(st.integers(2, 8), st.floats(0, 0.9), st.floats(0, 0.1), st.floats(100, 1e6))
def test_common_causes_undo_redundancy_and_spare_those_that_have_none(
    of: int, beta: float, more: float, mtbf: float
) -> None:
    for needed in range(1, of):
        assert with_beta(needed, of, beta, mtbf, 1) <= with_beta(needed, of, beta + more, mtbf, 1) * (1 + 1e-9)
    # Where all are needed, failures that come together are fewer outages.
    assert with_beta(of, of, beta + more, mtbf, 1) <= with_beta(of, of, beta, mtbf, 1) * (1 + 1e-9)


def test_at_beta_1_a_cluster_is_one_unit_and_at_0_all_are_alone() -> None:
    unit = repairable(100, 1)
    assert close(with_beta(2, 4, 1, 100, 1), unit.unavailability)
    assert close(with_beta(2, 4, 0, 100, 1), k_of_n(2, 4, unit).unavailability)
    assert thinned(100, 1, 0) == PERFECT
    with pytest.raises(InvalidInputError, match=r"share is 1\.5: give the share of the failures, 0 to 1"):
        thinned(100, 1, 1.5)


def chain_of_a_pair(
    active: tuple[float, float], standby: tuple[float, float], takeover: Takeover
) -> tuple[float, float, float, float]:
    """Moving, person, nothing left, and how often an outage begins that lasts: by scipy, state by state."""
    up, moving, person, moved = range(4)
    (mtbf, mttr), (their_mtbf, their_mttr) = active, standby
    one = {
        (up, moving): takeover.coverage / mtbf,
        (up, person): (1 - takeover.coverage) / mtbf,
        (moving, moved): 3600 / takeover.seconds,
        (person, moved): 3600 / takeover.person_seconds,
        **{(state, up): 1 / mttr for state in (moving, person, moved)},
    }
    # State = the active's state, twice: with the standby up (even) and down (odd).
    rates = {(2 * here + s, 2 * there + s): rate for (here, there), rate in one.items() for s in (0, 1)}
    rates |= {(2 * state, 2 * state + 1): 1 / their_mtbf for state in range(4)}
    rates |= {(2 * state + 1, 2 * state): 1 / their_mttr for state in range(4)}
    chain = steady(rates, 8)
    lasting = {2 * person, 2 * person + 1, 2 * moved + 1}
    begins = sum(
        chain[here] * rate for (here, there), rate in rates.items() if here not in lasting and there in lasting
    )
    share = chain.reshape(4, 2).sum(axis=1)
    return float(share[moving]), float(share[person]), float(chain[2 * moved + 1]), float(begins)


@given(
    st.tuples(st.floats(10, 5000), st.floats(0.1, 50)),
    st.tuples(st.floats(10, 5000), st.floats(0.1, 50)),
    st.builds(Takeover, st.floats(1, 600), SHARES, st.floats(60, 7200)),
)
def test_a_switchover_is_its_markov_chain(
    active: tuple[float, float], standby: tuple[float, float], takeover: Takeover
) -> None:
    found = switchover(repairable(*active), repairable(*standby), takeover)
    theirs = chain_of_a_pair(active, standby, takeover)
    ours = (found.moving, found.person, found.nothing_left, found.lasting.failures_per_hour)
    assert all(isclose(a, b, rel_tol=1e-6, abs_tol=1e-11) for a, b in zip(ours, theirs, strict=True))
    assert close(found.lasting.unavailability, found.person + found.nothing_left)


@given(PARTS, PARTS, SECONDS)
def test_a_switchover_without_delay_is_redundancy_and_without_a_standby_it_is_nothing(
    active: Part, standby: Part, seconds: float
) -> None:
    at_once = switchover(active, standby, Takeover(0, 1, seconds))
    assert close(at_once.unavailability, parallel(active, standby).unavailability)
    assert close(at_once.lasting.failures_per_hour, parallel(active, standby).failures_per_hour, 1e-6)
    alone = switchover(active, parallel(), Takeover(seconds, 1, seconds))
    assert close(alone.unavailability, active.unavailability)


@given(PARTS, PARTS, SECONDS, SECONDS, SHARES, SHARES)
def test_a_quicker_and_a_surer_switchover_never_costs(
    active: Part, standby: Part, seconds: float, later: float, coverage: float, better: float
) -> None:
    low, high = sorted((coverage, better))
    quick, slow = sorted((seconds, later))

    def down(move: float, sure: float) -> float:
        return switchover(active, standby, Takeover(move, sure, slow)).unavailability

    assert down(quick, high) <= down(slow, high) * (1 + 1e-9) <= down(slow, low) * (1 + 2e-9)
    assert down(quick, high) <= active.unavailability * (1 + 1e-9)


def test_what_never_fails_needs_nobody() -> None:
    assert switchover(PERFECT, repairable(1, 1), Takeover(6, 0.5, 60)).unavailability == 0
    assert series() == PERFECT
    assert series(Part(1, 0), repairable(1, 1)).unavailability == 1
    assert PERFECT.mean_down_hours == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: k_of_n(0, 4, PERFECT), "needed is 0 of 4: give 1 to 4"),
        (lambda: k_of_n(5, 4, PERFECT), "needed is 5 of 4: give 1 to 4"),
        (lambda: grouped(1, nodes=0, units_per_node=1, node=PERFECT, unit=PERFECT), "nodes is 0"),
        (lambda: Takeover(6, 1.2, 60), r"coverage is 1\.2: give the share"),
        (lambda: Takeover(-1, 1, 60), "seconds is -1: give the mean seconds"),
        (lambda: Takeover(1, 1, inf), "person_seconds is inf"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_mend(wrong: object, said: str) -> None:
    assert callable(wrong)
    with pytest.raises(InvalidInputError, match=said):
        wrong()
