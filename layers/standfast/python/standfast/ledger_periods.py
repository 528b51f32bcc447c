"""Days and months of the calendar, UTC, by name: `2026-11-25`, `2026-11`. Reckons with moments that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from standfast.errors import InvalidInputError
from standfast.intervals import Interval

DAYS_BACK = 7
"""A report that was not made in time is made up for so long."""
_FORMS = {10: "%Y-%m-%d", 7: "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month. Its name is unique and sorts by time."""

    name: str
    span: Interval

    @property
    def is_month(self) -> bool:
        return len(self.name) == min(_FORMS)


def period(name: str) -> Period:
    """By its name. Raises InvalidInputError."""
    try:
        begin = datetime.strptime(name, _FORMS[len(name)]).replace(tzinfo=UTC)
    except (KeyError, ValueError) as error:
        raise InvalidInputError(
            f"report: {name!r} is no day and no month; write it as 2026-11-25 or 2026-11"
        ) from error
    is_month = len(name) == min(_FORMS)
    end = (begin + timedelta(days=31)).replace(day=1) if is_month else begin + timedelta(days=1)
    return Period(name, Interval(begin.timestamp(), end.timestamp()))


def due(now: float) -> list[Period]:
    """The periods whose reports are kept up to date: today and this month, and those that ended of late."""
    today = datetime.fromtimestamp(now, UTC)
    days = [today - timedelta(days=back) for back in range(DAYS_BACK + 1)]
    months = dict.fromkeys(day.strftime("%Y-%m") for day in days)
    return [period(name) for name in (*(day.strftime("%Y-%m-%d") for day in days), *months)]


def moment(seconds: float) -> str:
    """`2026-11-25 14:03:07`, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
