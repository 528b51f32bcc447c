"""Stretches of time, held against counting whole seconds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from standfast.intervals import Interval, clipped, in_all, seconds, union

INTERVALS = st.lists(st.builds(Interval, st.integers(0, 60), st.integers(0, 60)), max_size=8)


def covered(intervals: list[Interval] | tuple[Interval, ...]) -> set[int]:
    """The whole seconds that lie in them."""
    return {second for each in intervals for second in range(int(each.begin), int(each.end))}


@given(INTERVALS)
def test_a_union_holds_what_lies_in_any_once_and_in_order(intervals: list[Interval]) -> None:
    found = union(intervals)
    assert covered(found) == covered(intervals)
    assert all(one.end < two.begin for one, two in itertools.pairwise(found))
    assert all(each.seconds > 0 for each in found)
    assert seconds(intervals) == len(covered(intervals)) <= sum(each.seconds for each in intervals)


@given(INTERVALS)
def test_a_union_of_a_union_is_the_same(intervals: list[Interval]) -> None:
    assert union(union(intervals)) == union(intervals)


@given(INTERVALS, st.builds(Interval, st.integers(0, 60), st.integers(0, 60)))
def test_what_is_clipped_lies_within(intervals: list[Interval], within: Interval) -> None:
    assert covered(clipped(intervals, within)) == covered(intervals) & covered([within])


@given(st.lists(INTERVALS, min_size=1, max_size=4))
def test_what_lies_in_all_lies_in_each(several: list[list[Interval]]) -> None:
    assert covered(in_all(several)) == set.intersection(*(covered(each) for each in several))


def test_of_nothing_nothing_is_common() -> None:
    assert in_all([]) == ()
    assert union([]) == ()
    assert seconds([]) == 0
