"""Who comes and goes is believed later; the sibling that is apart is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.damping import LONGEST_SECONDS, History, confirmed, damped, wait_seconds
from standfast.health import Verdict
from standfast.siblings import find_apart
from tests.builders import NOW

HEALTHY, UNHEALTHY, UNKNOWN = Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNKNOWN


def believed(*seen: tuple[float, Verdict]) -> tuple[Verdict, str]:
    """The last of several verdicts, each at so many seconds, as it is believed."""
    history, verdict, said = History(), Verdict.UNKNOWN, ""
    for at, each in seen:
        verdict, said, history = damped(history, each, NOW + at)
    return verdict, said


def test_unhealthy_is_believed_at_once_and_a_first_return_too() -> None:
    assert believed((0, HEALTHY), (30, UNHEALTHY)) == (UNHEALTHY, "")
    assert believed((0, HEALTHY), (30, UNHEALTHY), (60, HEALTHY)) == (HEALTHY, "")


def test_after_a_second_fall_a_return_is_believed_after_a_minute() -> None:
    falls = [(0.0, HEALTHY), (30, UNHEALTHY), (60, HEALTHY), (90, UNHEALTHY), (120, HEALTHY)]
    said = "well for 0 s, but it fell 2 times in the last hour: believed after 60 s"
    assert believed(*falls) == (Verdict.DEGRADED, said)
    assert believed(*falls, (150, HEALTHY))[0] is Verdict.DEGRADED
    assert believed(*falls, (180, HEALTHY)) == (HEALTHY, "")


def test_a_fall_that_goes_on_is_one_and_an_hour_forgets_it() -> None:
    falls = [(0.0, UNHEALTHY), (30, UNHEALTHY), (60, UNHEALTHY), (90, HEALTHY)]
    assert believed(*falls) == (HEALTHY, "")
    assert believed(*falls, (3700, UNHEALTHY), (3730, HEALTHY)) == (HEALTHY, "")


def test_what_is_unknown_neither_ends_nor_begins_being_well() -> None:
    assert believed((0, HEALTHY), (30, UNKNOWN), (60, HEALTHY)) == (HEALTHY, "")
    assert believed((0, UNKNOWN)) == (UNKNOWN, "")


@given(st.integers(2, 60))
def test_the_wait_grows_with_each_fall_up_to_a_limit(falls: int) -> None:
    assert wait_seconds(range(falls)) <= wait_seconds(range(falls + 1)) <= LONGEST_SECONDS


# Latency


def test_tokens_are_called_late_when_two_assessments_running_found_them_late() -> None:
    assert confirmed(History(), Verdict.DEGRADED, NOW) == (HEALTHY, NOW)
    assert confirmed(History(late_since=NOW), Verdict.DEGRADED, NOW + 30) == (Verdict.DEGRADED, NOW)
    assert confirmed(History(late_since=NOW), HEALTHY, NOW + 30) == (HEALTHY, None)


def test_an_assessment_without_a_token_says_nothing_of_latency() -> None:
    assert confirmed(History(late_since=NOW), UNKNOWN, NOW + 30) == (UNKNOWN, NOW)
    assert confirmed(History(), UNKNOWN, NOW) == (UNKNOWN, None)


# Siblings


def test_the_one_that_takes_much_longer_than_its_siblings_is_apart() -> None:
    found = find_apart({"a": 0.10, "b": 0.11, "c": 0.09, "d": 0.90}, 0.25)
    assert found is not None
    assert (found.name, found.middle) == ("d", 0.10)


@pytest.mark.parametrize(
    "values",
    [
        {"a": 0.1, "b": 0.9},
        {"a": 0.01, "b": 0.01, "c": 0.2},
        {"a": 0.5, "b": 0.6, "c": 0.9},
        {"a": 0.1, "b": 0.5, "c": 0.9, "d": 1.2},
        {},
    ],
    ids=["two", "nobody waits", "not twice as long", "all differ", "none"],
)
def test_nobody_is_apart_where_it_would_not_be_felt_or_cannot_be_said(values: dict[str, float]) -> None:
    assert find_apart(values, 0.25) is None


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 100), max_size=8))
def test_who_is_apart_is_the_slowest_and_twice_as_slow_as_the_others(values: dict[str, float]) -> None:
    found = find_apart(values, 0.25)
    assert found is None or (found.value == max(values.values()) and found.value > 2 * found.middle)
