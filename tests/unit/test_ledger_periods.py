"""Days and months by name, and which reports are due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import ledger_periods
from standfast.errors import InvalidInputError


@pytest.mark.parametrize(
    ("name", "days"), [("2026-11-25", 1), ("2026-11", 30), ("2026-12", 31), ("2028-02", 29), ("2028-02-29", 1)]
)
def test_a_period_is_as_long_as_the_calendar_says(name: str, days: int) -> None:
    found = ledger_periods.period(name)
    assert found.span.seconds == days * 86_400
    assert found.is_month is (len(name) == 7)
    assert ledger_periods.moment(found.span.begin).startswith(name)


@pytest.mark.parametrize("name", ["", "2026", "2026-13", "2026-02-30", "yesterday", "2026-11-25T00", "26-11-25"])
def test_what_is_no_period_is_refused_with_the_mend(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"write it as 2026-11-25 or 2026-11$"):
        ledger_periods.period(name)


def test_the_last_week_is_due_and_the_months_that_it_lies_in() -> None:
    now = datetime(2026, 12, 3, 0, 20, tzinfo=UTC).timestamp()
    assert [each.name for each in ledger_periods.due(now)] == [
        "2026-12-03", "2026-12-02", "2026-12-01", "2026-11-30", "2026-11-29", "2026-11-28", "2026-11-27", "2026-11-26",
        "2026-12", "2026-11",
    ]  # fmt: skip


@given(st.floats(1.6e9, 2.5e9))
def test_at_any_time_today_and_this_month_are_due(now: float) -> None:
    found = ledger_periods.due(now)
    for wanted in (found[0], next(each for each in found if each.is_month)):
        assert wanted.span.begin <= now < wanted.span.end
