"""Evidence that may be looked at after every sample: held against scipy's distributions and exact recurrences."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from standfast.sequential import FRESH, bet, bet_within, evidence, look_may_win, needed

COUNTS = st.integers(0, 300)
ALPHA = 0.01
LOOKED_AT = 600
"""Looks, one after each pair."""


def crossing(chance: float, crosses: list[list[bool]]) -> float:
    """The exact chance that a walk of so many pairs, each lost with `chance`, is ever where it crosses.

    `crosses[n - 1][k]`: whether it crosses after n pairs of which k were worse. Forward recurrence over k.
    """
    alive, crossed = [1.0], 0.0
    for row in crosses:
        following = [0.0] * (len(alive) + 1)
        for worse, mass in enumerate(alive):
            following[worse] += mass * (1 - chance)
            following[worse + 1] += mass * chance
        crossed += math.fsum(mass for mass, crossed_here in zip(following, row, strict=True) if crossed_here)
        alive = [0.0 if crossed_here else mass for mass, crossed_here in zip(following, row, strict=True)]
    return crossed


@given(pairs=st.integers(1, 200))
def test_a_bet_on_two_that_are_alike_wins_nothing_in_the_mean(pairs: int) -> None:
    chances = stats.binom.pmf(range(pairs + 1), pairs, 0.5)
    mean = math.fsum(
        chance * math.exp(evidence(bet(FRESH, worse, pairs - worse))) for worse, chance in enumerate(chances)
    )
    assert mean == pytest.approx(1.0, rel=1e-9)


@given(pairs=st.integers(1, 100), chance=st.floats(0.001, 0.5), most=st.floats(0.0, 5.0))
def test_it_wins_nothing_either_where_the_first_is_better_or_a_look_is_cut_short(
    pairs: int, chance: float, most: float
) -> None:
    chances = stats.binom.pmf(range(pairs + 1), pairs, chance)
    mean = math.fsum(
        mass * math.exp(evidence(bet(FRESH, worse, pairs - worse, most))) for worse, mass in enumerate(chances)
    )
    assert mean <= 1.0 + 1e-9


def mean_within(pairs: int, worse: float, better: float, margin: float) -> float:
    """What 1 becomes in the mean, by scipy's multinomial over all outcomes."""
    law = stats.multinomial(pairs, [worse, better, 1.0 - worse - better])
    outcomes = [(lost, won, pairs - lost - won) for lost in range(pairs + 1) for won in range(pairs + 1 - lost)]
    return math.fsum(law.pmf(each) * math.exp(evidence(bet_within(FRESH, *each, margin))) for each in outcomes)


PAIRS, BETTER, MARGIN = st.integers(1, 12), st.floats(0.001, 0.2), st.floats(0.01, 0.5)


@given(pairs=PAIRS, better=BETTER, margin=MARGIN)
def test_a_bet_on_being_within_a_margin_wins_nothing_in_the_mean_on_the_margin(
    pairs: int, better: float, margin: float
) -> None:
    assert mean_within(pairs, better + margin, better, margin) == pytest.approx(1.0, rel=1e-6)


@given(pairs=PAIRS, better=BETTER, margin=MARGIN, beyond=st.floats(0.001, 0.09))
def test_nor_beyond_it(pairs: int, better: float, margin: float, beyond: float) -> None:
    assert mean_within(pairs, better + margin + beyond, better, margin) < 1.0


def test_looking_after_every_pair_finds_two_that_are_alike_apart_as_seldom_as_is_said() -> None:
    rows = [
        [evidence(bet(FRESH, worse, pairs - worse)) >= needed(ALPHA) for worse in range(pairs + 1)]
        for pairs in range(1, LOOKED_AT + 1)
    ]
    assert 0.1 * ALPHA < crossing(0.5, rows) <= ALPHA
    assert crossing(0.4, rows) < crossing(0.5, rows)


def test_a_test_that_is_made_for_one_look_does_not() -> None:
    """scipy's sign test at the same level, made after every pair: why this module is there."""
    rows = [
        [bool(p < ALPHA) for p in stats.binom.sf([worse - 1 for worse in range(pairs + 1)], pairs, 0.5)]
        for pairs in range(1, LOOKED_AT + 1)
    ]
    assert crossing(0.5, rows) > 5 * ALPHA


@pytest.mark.parametrize(("chance", "pairs"), [(0.99, 20), (0.8, 80), (0.7, 300)])
def test_a_difference_is_found_with_so_many_pairs(chance: float, pairs: int) -> None:
    rows = [
        [evidence(bet(FRESH, worse, each - worse)) >= needed(0.001) for worse in range(each + 1)]
        for each in range(1, pairs + 1)
    ]
    assert crossing(chance, rows) > 0.9


@given(first=st.tuples(COUNTS, COUNTS), then=st.tuples(COUNTS, COUNTS))
def test_it_does_not_matter_in_how_many_looks_the_pairs_came(first: tuple[int, int], then: tuple[int, int]) -> None:
    at_once = bet(FRESH, first[0] + then[0], first[1] + then[1])
    assert bet(bet(FRESH, *first), *then) == pytest.approx(at_once)


@given(alpha=st.floats(1e-9, 0.1), looks=st.integers(2, 5), pairs=st.integers(1, 10_000))
def test_fewer_looks_than_are_asked_for_are_never_enough(alpha: float, looks: int, pairs: int) -> None:
    wealth, most = FRESH, look_may_win(alpha, looks)
    for _ in range(looks - 1):
        wealth = bet(wealth, pairs, 0, most)
    assert evidence(wealth) < needed(alpha)


def test_evidence_stays_finite_however_much_there_is() -> None:
    assert evidence(bet(FRESH, 10**6, 0)) == pytest.approx(10**6 * math.log(1.98), rel=1e-3)
    assert math.isfinite(evidence(bet(FRESH, 0, 10**6)))
    assert math.isfinite(evidence(bet_within(FRESH, 10**6, 10**6, 10**6, 0.02)))


def test_no_failure_in_so_many_pairs_proves_the_margin() -> None:
    """Three by the number of pairs is the bound for one look; looking all the time costs the rest."""
    enough = next(n for n in range(1, 1000) if evidence(bet_within(FRESH, 0, 0, n, 0.02)) >= needed(0.05))
    assert 3 / 0.02 < enough < 260
