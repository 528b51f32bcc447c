"""The ledger: requests good and bad by the hour, the error budget, and how fast it burns. Pure: no clock, no AWS.

What is kept of an hour are sums as they were read, which only ever grow: reading an hour again, or reading less of it
than before, never loses or doubles anything. Times are seconds since the epoch.

Windows and rates of the alerts: Google, "The Site Reliability Workbook", chapter 5, Alerting on SLOs, table 5-8: 14.4
times the rate that spends the budget of 30 days in 30 days spends 2 % of it in an hour, 6 times 5 % in six hours, once
10 % in three days. The short window, a twelfth of the long one, ends the alert soon after the failures end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from standfast.availability_rules import AvailabilityRules

MINUTE, HOUR, DAY = 60, 3600, 86_400
LAG_SECONDS = 120
"""A minute is read once it has been over for as long: load balancers report each minute, and not at once."""
SETTLED_SECONDS = 1800
"""An hour that was read so long after its end is final."""
BACK_SECONDS = 6 * HOUR
"""How far back every reading goes: the longest window that is reckoned in minutes."""
FARTHEST_SECONDS = 14 * DAY
"""CloudWatch keeps minutes for 15 days: a ledger that nobody kept for longer has a gap, and says so."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over some time, as they were read.

    `requests`, `failed`: by the load balancer, `shed` of them answered by the group that sheds. Canaries through the
    entry are among these: `canaries` (and `canaries_failed`) were asked of clusters that had traffic, `idle` of
    clusters that had none, of which `idle_failed` were answered with an error.
    """

    requests: int = 0
    failed: int = 0
    shed: int = 0
    canaries: int = 0
    canaries_failed: int = 0
    idle: int = 0
    idle_failed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in NAMES})

    def at_least(self, other: Counts) -> Counts:
        """Of each figure the larger: the same time was read twice, and counts of a time that is over only grow."""
        return Counts(**{name: max(getattr(self, name), getattr(other, name)) for name in NAMES})

    def served(self) -> Served:
        """What users had. Canaries of clusters without traffic are nobody's requests.

        Canaries of clusters with traffic are requests like any other, and in the load balancer's count once more.
        Where it counted fewer than these, or fewer failures, as when it is itself what failed, theirs stand.
        """
        requests = max(self.requests - self.idle, self.canaries, 0)
        failed = max(self.failed - self.idle_failed, self.canaries_failed, 0)
        return Served(requests, min(requests, failed), min(self.shed, requests))


NAMES: Final = tuple(each.name for each in fields(Counts))


@dataclass(frozen=True, slots=True)
class Served:
    """Requests of users, and those of them that failed. One that was shed has failed: a user got no answer."""

    requests: int = 0
    failed: int = 0
    shed: int = 0

    def __add__(self, other: Served) -> Served:
        return Served(self.requests + other.requests, self.failed + other.failed, self.shed + other.shed)

    @property
    def availability(self) -> float | None:
        """The share that was good, None where there was no request."""
        return 1 - self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one Region, from `begin`. `read_at`: when it was read last. `model`: what the fleet served then."""

    begin: float
    counts: Counts
    model: str
    read_at: float

    @property
    def is_final(self) -> bool:
        """Whether it was read after all of it had been counted."""
        return self.read_at >= self.begin + HOUR + SETTLED_SECONDS


def hour_of(moment: float) -> float:
    """Begin of the hour."""
    return moment - moment % HOUR


def reading_begin(hours: Iterable[Hour], now: float) -> float:
    """From when minutes must be read: from the first hour that is not final, and for the windows in minutes."""
    final = [hour.begin + HOUR for hour in hours if hour.is_final]
    begin = min(max(final, default=now), reading_end(now) - BACK_SECONDS)
    return hour_of(max(begin, now - FARTHEST_SECONDS))


def reading_end(now: float) -> float:
    """Until when minutes can be read."""
    end = now - LAG_SECONDS
    return end - end % MINUTE


def fold(minutes: Mapping[float, Counts], hours: Iterable[Hour], model: str, now: float) -> list[Hour]:
    """The hours to write, oldest first, after the minutes since `reading_begin` were read; begin of minute -> counts.

    An hour without any request is written too: *none* and *not read* are not the same.
    """
    known = {hour.begin: hour for hour in hours}
    found: list[Hour] = []
    begin, end = reading_begin(known.values(), now), reading_end(now)
    while begin < end:
        stood = known.get(begin)
        if stood is None or not stood.is_final:
            read = total(counts for minute, counts in minutes.items() if begin <= minute < begin + HOUR)
            counts = read if stood is None else read.at_least(stood.counts)
            found.append(Hour(begin, counts, stood.model if stood else model, now))
        begin += HOUR
    return found


def total(counts: Iterable[Counts]) -> Counts:
    """The sum; of nothing, zeros."""
    found = Counts()
    for each in counts:
        found += each
    return found


def served(hours: Iterable[Hour]) -> Served:
    """What users had in these hours."""
    found = Served()
    for hour in hours:
        found += hour.counts.served()
    return found


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget of some time: how many requests might have failed, and how many did."""

    objective: float
    served: Served

    @property
    def allowed(self) -> float:
        """So many requests might have failed."""
        return self.served.requests * (1 - self.objective)

    @property
    def left(self) -> float:
        """The share that is left: 1 all of it, 0 nothing, below it is overdrawn. All of it where nothing was asked."""
        return 1 - self.served.failed / self.allowed if self.served.requests else 1.0


@dataclass(frozen=True, slots=True)
class Alert:
    """The budget burns `rate` times too fast, over `long_seconds` and still over `short_seconds`."""

    rate: float
    long_seconds: int
    short_seconds: int


ALERTS: Final = {
    "fast": Alert(14.4, HOUR, 5 * MINUTE),
    "medium": Alert(6.0, 6 * HOUR, 30 * MINUTE),
    "slow": Alert(1.0, 3 * DAY, 6 * HOUR),
}
WINDOWS: Final[Mapping[str, int]] = {
    "BurnRate5m": 5 * MINUTE,
    "BurnRate30m": 30 * MINUTE,
    "BurnRate1h": HOUR,
    "BurnRate6h": 6 * HOUR,
    "BurnRate3d": 3 * DAY,
}
"""Metric -> seconds that it looks back."""


def burn_rate(served: Served, seconds: float, rules: AvailabilityRules) -> float:
    """How many times faster than allowed the budget was spent over so many seconds; 0 where too little was asked."""
    if served.requests < max(1.0, rules.min_requests_per_hour * seconds / HOUR):
        return 0.0
    return served.failed / served.requests / (1 - rules.objective)


def burn_rates(
    minutes: Mapping[float, Counts], hours: Sequence[Hour], rules: AvailabilityRules, now: float
) -> dict[str, float]:
    """Metric -> rate. Up to six hours are reckoned in minutes; three days are 72 whole hours and the present one."""
    end = reading_end(now)
    rates: dict[str, float] = {}
    for name, seconds in WINDOWS.items():
        if seconds <= BACK_SECONDS:
            had = total(each for begin, each in minutes.items() if end - seconds <= begin < end).served()
        else:
            had = served(hour for hour in hours if hour.begin >= hour_of(now) - seconds)
        rates[name] = burn_rate(had, seconds, rules)
    return rates
