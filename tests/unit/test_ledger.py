"""Hours that never forget, a budget that never divides by zero, and rates that alarms can believe."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import ledger
from standfast.availability_rules import AvailabilityRules
from standfast.ledger import ALERTS, DAY, HOUR, MINUTE, Budget, Counts, Hour, Served
from tests.builders import NOW

RULES = AvailabilityRules()
COUNTS = st.builds(Counts, *([st.integers(0, 5000)] * len(ledger.NAMES)))
NOON = ledger.hour_of(NOW)


def every_minute(counts: Counts, begin: float, end: float) -> dict[float, Counts]:
    return {begin + at: counts for at in range(0, int(end - begin), MINUTE)}


def keep(hours: list[Hour], written: list[Hour]) -> list[Hour]:
    """As a table keeps them."""
    return sorted(({h.begin: h for h in hours} | {h.begin: h for h in written}).values(), key=lambda h: h.begin)


# What users had


def test_canaries_to_clusters_without_traffic_are_nobodys_requests() -> None:
    counts = Counts(requests=1000, failed=65, idle=60, idle_failed=60, canaries=60)
    assert counts.served() == Served(940, 5)


def test_when_the_load_balancer_counts_nothing_the_canaries_stand_for_it() -> None:
    assert Counts(canaries=60, canaries_failed=60).served() == Served(60, 60)
    assert Counts(requests=100, canaries=60, canaries_failed=9).served() == Served(100, 9)


def test_what_was_shed_has_failed() -> None:
    had = Counts(requests=100, failed=20, shed=20).served()
    assert (had.failed, had.shed, had.availability) == (20, 20, 0.8)


@given(COUNTS)
def test_nothing_is_ever_below_zero_nor_more_failed_than_was_asked(counts: Counts) -> None:
    had = counts.served()
    assert 0 <= had.failed <= had.requests
    assert 0 <= had.shed <= had.requests
    assert had.availability is None if had.requests == 0 else 0 <= (had.availability or 0) <= 1


# Hours


@given(st.lists(st.dictionaries(st.integers(0, 119), COUNTS, max_size=8), min_size=1, max_size=5))
def test_an_hour_never_loses_what_was_once_read_of_it_however_little_is_read_later(
    readings: list[dict[int, Counts]],
) -> None:
    """CloudWatch may answer with less, or with nothing, at any time; a restart reads again."""
    hours: list[Hour] = []
    seen: dict[float, Counts] = {}
    for number, reading in enumerate(readings):
        now = NOON + 2 * HOUR + 5 * MINUTE * number
        minutes = {NOON + minute * MINUTE: counts for minute, counts in reading.items()}
        hours = keep(hours, ledger.fold(minutes, hours, "m", now))
        for hour in hours:
            before = seen.get(hour.begin, Counts())
            assert hour.counts.at_least(before) == hour.counts
            seen[hour.begin] = hour.counts


@given(st.integers(1, 40), st.lists(st.integers(1, 90), min_size=1, max_size=12))
def test_however_often_and_whenever_it_is_folded_the_sum_is_what_was_counted(each: int, gaps: list[int]) -> None:
    """Counted for two hours at the same pace; folded at any times, with pauses of up to an hour and a half."""
    all_minutes = every_minute(Counts(requests=each, failed=1), NOON, NOON + 2 * HOUR)
    hours: list[Hour] = []
    now = NOON
    for gap in [*gaps, 24 * 60]:
        now += gap * MINUTE
        begin, end = ledger.reading_begin(hours, now), ledger.reading_end(now)
        read = {at: counts for at, counts in all_minutes.items() if begin <= at < end}
        hours = keep(hours, ledger.fold(read, hours, "m", now))
    assert ledger.served(hours) == Served(120 * each, 120)


def test_after_days_without_a_fold_every_hour_is_made_up_for() -> None:
    final = Hour(NOON - 3 * DAY, Counts(requests=7), "m", NOON)
    now = NOON + 10 * MINUTE
    assert ledger.reading_begin([final], now) == final.begin + HOUR
    written = ledger.fold({}, [final], "m", now)
    assert [hour.begin for hour in written] == [NOON - 3 * DAY + HOUR * number for number in range(1, 73)]


def test_what_cloudwatch_no_longer_has_by_the_minute_is_not_asked_for() -> None:
    old = Hour(NOON - 40 * DAY, Counts(), "m", NOON - 39 * DAY)
    assert ledger.reading_begin([old], NOON) == NOON - 14 * DAY


def test_a_final_hour_is_not_written_again_and_an_hour_without_requests_is_written() -> None:
    now = NOON + HOUR
    hours = keep([], ledger.fold({}, [], "m", now))
    assert hours[-1] == Hour(NOON, Counts(), "m", now)
    assert [hour.is_final for hour in hours] == [True] * 6 + [False]
    later = ledger.fold(every_minute(Counts(requests=1), NOON - HOUR, NOON + HOUR), hours, "m", now + HOUR / 2)
    assert [(hour.begin, hour.counts.requests) for hour in later] == [(NOON, 60), (NOON + HOUR, 0)]


def test_an_hour_keeps_the_model_that_it_began_with() -> None:
    begun = Hour(NOON, Counts(requests=1), "old", NOON + 300)
    assert {hour.model for hour in ledger.fold({}, [begun], "new", NOON + 600) if hour.begin == NOON} == {"old"}


def test_a_minute_is_read_once_it_has_settled() -> None:
    assert ledger.reading_end(NOON + 179) == NOON
    assert ledger.reading_end(NOON + 180) == NOON + 60


# Budget


@pytest.mark.parametrize(
    ("requests", "failed", "left"),
    [(0, 0, 1.0), (1_000_000, 0, 1.0), (1_000_000, 250, 0.75), (1_000_000, 1000, 0.0), (1_000_000, 3000, -2.0)],
)
def test_the_budget_is_what_the_objective_leaves(requests: int, failed: int, left: float) -> None:
    assert Budget(0.999, Served(requests, failed)).left == pytest.approx(left)


@given(COUNTS, st.floats(0.9, 0.99999))
def test_a_budget_is_always_a_number(counts: Counts, objective: float) -> None:
    assert Budget(objective, counts.served()).left <= 1


# Burn rates


def rates(minutes: dict[float, Counts], hours: list[Hour] | None = None) -> dict[str, float]:
    return ledger.burn_rates(minutes, hours or [], RULES, NOW)


def test_the_alerts_are_those_of_the_workbook() -> None:
    """A rate times its long window is the share of a budget of 30 days that is spent: 2, 5 and 10 %."""
    spent = [alert.rate * alert.long_seconds / (30 * DAY) for alert in ALERTS.values()]
    assert spent == pytest.approx([0.02, 0.05, 0.1])
    assert [alert.long_seconds / alert.short_seconds for alert in ALERTS.values()] == [12, 12, 12]
    windows = set(ledger.WINDOWS.values())
    assert {seconds for alert in ALERTS.values() for seconds in (alert.long_seconds, alert.short_seconds)} == windows


def test_a_steady_share_of_failures_burns_at_its_multiple_of_the_budget_in_every_window() -> None:
    counts = Counts(requests=1000, failed=5)
    minutes = every_minute(counts, NOON - DAY, NOW)
    hours = [Hour(NOON - HOUR * n, Counts(requests=60_000, failed=300), "m", NOW) for n in range(80)]
    assert rates(minutes, hours) == pytest.approx(dict.fromkeys(ledger.WINDOWS, 5.0))


def test_failures_that_are_over_leave_the_short_window_before_the_long_one() -> None:
    good, bad = Counts(requests=1000), Counts(requests=1000, failed=1000)
    end = ledger.reading_end(NOW)
    minutes = every_minute(good, end - DAY, end) | every_minute(bad, end - 20 * MINUTE, end - 10 * MINUTE)
    found = rates(minutes)
    assert found["BurnRate5m"] == 0
    assert found["BurnRate30m"] == pytest.approx(1000 / 3)
    assert found["BurnRate1h"] == pytest.approx(1000 / 6)
    assert found["BurnRate6h"] == pytest.approx(1000 / 36)


def test_three_days_are_reckoned_in_hours_and_what_is_older_is_not_in_it() -> None:
    old = Hour(NOON - 73 * HOUR, Counts(requests=10**6, failed=10**6), "m", NOW)
    hours = [Hour(NOON - HOUR * n, Counts(requests=10_000, failed=20), "m", NOW) for n in range(73)]
    assert rates({}, [old, *hours])["BurnRate3d"] == pytest.approx(2.0)


@pytest.mark.parametrize(("requests", "rate"), [(83, 0.0), (84, 1000.0)])
def test_a_window_with_too_few_requests_says_nothing(requests: int, rate: float) -> None:
    """A thousand an hour are 83.3 in five minutes."""
    end = ledger.reading_end(NOW)
    found = rates({end - MINUTE: Counts(requests=requests, failed=requests)})
    assert found["BurnRate5m"] == pytest.approx(rate)


@given(st.dictionaries(st.integers(0, 400), COUNTS, max_size=20), st.lists(COUNTS, max_size=5))
def test_a_rate_is_a_number_between_nothing_and_all(minutes: dict[int, Counts], hourly: list[Counts]) -> None:
    hours = [Hour(NOON - HOUR * number, counts, "m", NOW) for number, counts in enumerate(hourly)]
    found = rates({ledger.reading_end(NOW) - MINUTE * at: counts for at, counts in minutes.items()}, hours)
    assert set(found) == set(ledger.WINDOWS)
    assert all(0 <= rate <= 1 / (1 - RULES.objective) * (1 + 1e-9) for rate in found.values())


def test_counts_are_added_by_name() -> None:
    one = Counts(1, 2, 3, 4, 5, 6, 7)
    assert one + one == Counts(2, 4, 6, 8, 10, 12, 14)
    assert replace(one, idle=9).at_least(replace(one, failed=8)) == Counts(1, 8, 3, 4, 5, 9, 7)
