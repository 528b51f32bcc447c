"""The ledger's reports of a day or a month: of one Region, and of the fleet, put together from its Regions'. Pure.

A report is JSON for machines; `ledger_page` makes a page of it. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from standfast import intervals, ledger
from standfast.errors import CorruptStateError
from standfast.incidents import Kind
from standfast.intervals import Interval
from standfast.ledger import Budget, Served

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from standfast.availability_rules import AvailabilityRules
    from standfast.incidents import Incident
    from standfast.ledger import Hour
    from standfast.ledger_periods import Period

SCHEMA = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a Region of a later release may say more


class Figures(_Part):
    """Requests of users. `availability` is the share that was good, None where there was none."""

    requests: int
    failed: int
    shed: int
    availability: float | None

    @classmethod
    def of(cls, had: Served) -> Figures:
        return cls(requests=had.requests, failed=had.failed, shed=had.shed, availability=had.availability)

    def served(self) -> Served:
        return Served(self.requests, self.failed, self.shed)


class Stretch(_Part):
    """Requests from `begin` on, for the timeline. `recorded`: whether all of it that is over was read."""

    begin: float
    seconds: float
    requests: int
    failed: int
    recorded: bool


class IncidentLine(_Part):
    """An incident, as far as it matters here. `end` is None while it is open."""

    incident_id: str
    cluster_id: str
    kind: Kind
    cause: str
    begin: float
    end: float | None
    affects_users: bool
    seconds: float


class BudgetLine(_Part):
    """The error budget of the `days` that end with the period. `left` is a share; below 0 it is overdrawn."""

    objective: float
    days: float
    requests: int
    failed: int
    allowed: float
    left: float

    @classmethod
    def of(cls, budget: Budget, days: float) -> BudgetLine:
        had = budget.served
        return cls(
            objective=budget.objective,
            days=days,
            requests=had.requests,
            failed=had.failed,
            allowed=budget.allowed,
            left=budget.left,
        )


class RegionReport(_Part):
    """A day or a month of one Region.

    `is_final`: the period is over and every hour of it is recorded; until then the report is made anew. `down` are the
    stretches in which an incident was felt by users, their union; the one that is open counts until `made_at`.
    `available_by_time` is the share of the time that is over and lies outside them, None where none is over.
    """

    schema_version: int = SCHEMA
    kind: Literal["region"] = "region"
    fleet: str
    region: str
    period: str
    begin: float
    end: float
    made_at: float
    is_final: bool
    hours: int
    hours_recorded: int
    total: Figures
    models: dict[str, Figures]
    canaries: Figures
    budget: BudgetLine
    timeline: tuple[Stretch, ...]
    incidents: tuple[IncidentLine, ...]
    down: tuple[tuple[float, float], ...]
    down_seconds: float
    available_by_time: float | None
    without_standby_seconds: float


class FleetReport(_Part):
    """A day or a month of the fleet. `missing` are Regions whose report is not there: their figures are not in it.

    `some_down_seconds`: users of at least one Region were without service. `all_down_seconds`: those of every Region,
    None where a Region is missing.
    """

    schema_version: int = SCHEMA
    kind: Literal["fleet"] = "fleet"
    fleet: str
    period: str
    begin: float
    end: float
    made_at: float
    is_final: bool
    total: Figures
    models: dict[str, Figures]
    budget: BudgetLine
    regions: tuple[RegionReport, ...]
    missing: tuple[str, ...]
    some_down_seconds: float
    all_down_seconds: float | None


def region_report(
    fleet: str,
    region: str,
    period: Period,
    hours: Sequence[Hour],
    incidents: Iterable[Incident],
    rules: AvailabilityRules,
    now: float,
) -> RegionReport:
    """The report as of now. `hours` are those of the period and of the error budget's days before its end."""
    span, until = period.span, min(period.span.end, max(now, period.span.begin))
    over = Interval(span.begin, until)
    within = [hour for hour in hours if span.begin <= hour.begin < span.end]
    lines = [line for each in incidents if (line := _line(each, over, now)) is not None]
    down = intervals.clipped((_felt(line, now) for line in lines if line.affects_users), over)
    standby = (_felt(line, now) for line in lines if line.kind is Kind.REDUNDANCY)
    counts = ledger.total(hour.counts for hour in within)
    expected = _hours_over(span, now)
    recorded = sum(hour.is_final for hour in within)
    is_over = now >= span.end + ledger.SETTLED_SECONDS
    budget_days = (span.end - span.begin) / ledger.DAY if period.is_month else float(rules.window_days)
    spent = ledger.served(hour for hour in hours if span.end - budget_days * ledger.DAY <= hour.begin < span.end)
    return RegionReport(
        fleet=fleet,
        region=region,
        period=period.name,
        begin=span.begin,
        end=span.end,
        made_at=now,
        is_final=is_over and recorded >= expected,
        hours=expected,
        hours_recorded=recorded,
        total=Figures.of(ledger.served(within)),
        models={name: Figures.of(had) for name, had in sorted(_by_model(within).items())},
        canaries=Figures.of(Served(counts.canaries, min(counts.canaries, counts.canaries_failed))),
        budget=BudgetLine.of(Budget(rules.objective, spent), budget_days),
        timeline=_timeline(period, within, now),
        incidents=tuple(sorted(lines, key=lambda line: line.begin)),
        down=tuple((each.begin, each.end) for each in down),
        down_seconds=intervals.seconds(down),
        available_by_time=1 - intervals.seconds(down) / over.seconds if over.seconds else None,
        without_standby_seconds=intervals.seconds(intervals.clipped(standby, over)),
    )


def fleet_report(
    fleet: str, period: Period, found: Mapping[str, RegionReport | None], rules: AvailabilityRules, now: float
) -> FleetReport:
    """The Regions' reports of the same period, put together. `found` names every Region that has clusters."""
    there = [report for _, report in sorted(found.items()) if report is not None]
    missing = tuple(sorted(name for name, report in found.items() if report is None))
    downs = [[Interval(*each) for each in report.down] for report in there]
    models: dict[str, Served] = {}
    had, spent = Served(), Served()
    for report in there:
        had += report.total.served()
        spent += Served(report.budget.requests, report.budget.failed)
        for name, figures in report.models.items():
            models[name] = models.get(name, Served()) + figures.served()
    days = max((report.budget.days for report in there), default=float(rules.window_days))
    return FleetReport(
        fleet=fleet,
        period=period.name,
        begin=period.span.begin,
        end=period.span.end,
        made_at=now,
        is_final=not missing and all(report.is_final for report in there),
        total=Figures.of(had),
        models={name: Figures.of(each) for name, each in sorted(models.items())},
        budget=BudgetLine.of(Budget(rules.objective, spent), days),
        regions=tuple(there),
        missing=missing,
        some_down_seconds=intervals.seconds(each for down in downs for each in down),
        all_down_seconds=None if missing else intervals.seconds(intervals.in_all(downs)),
    )


def read_region_report(text: str, what: str) -> RegionReport:
    """A report as it was written. Raises CorruptStateError."""
    try:
        report = RegionReport.model_validate_json(text)
    except ValidationError as error:
        raise CorruptStateError(f"{what} cannot be understood ({error.error_count()} faults); make it anew") from error
    if report.schema_version != SCHEMA:
        raise CorruptStateError(f"{what} has schema version {report.schema_version}, this release knows {SCHEMA}")
    return report


def is_final(text: str) -> bool:
    """Whether a fleet's report, as it was written, is final; one that cannot be understood is not."""
    try:
        return FleetReport.model_validate_json(text).is_final
    except ValidationError:
        return False


def _line(incident: Incident, over: Interval, now: float) -> IncidentLine | None:
    """The incident if it touches what is over of the period. Users were without service until it was well at most."""
    end = incident.well_since if incident.well_since is not None else incident.closed_at
    part = intervals.clipped([Interval(incident.opened_at, now if end is None else end)], over)
    if not part:
        return None
    return IncidentLine(
        incident_id=incident.incident_id,
        cluster_id=incident.cluster_id,
        kind=incident.kind,
        cause=incident.cause,
        begin=incident.opened_at,
        end=end,
        affects_users=incident.affects_users and incident.kind is Kind.FAILURE,
        seconds=intervals.seconds(part),
    )


def _felt(line: IncidentLine, now: float) -> Interval:
    return Interval(line.begin, now if line.end is None else line.end)


def _by_model(hours: Iterable[Hour]) -> dict[str, Served]:
    found: dict[str, Served] = {}
    for hour in hours:
        found[hour.model] = found.get(hour.model, Served()) + hour.counts.served()
    return found


def _hours_over(span: Interval, now: float) -> int:
    """How many hours of it should be final by now."""
    over = min(span.end, now - ledger.SETTLED_SECONDS) - span.begin
    return max(0, int(over // ledger.HOUR))


def _timeline(period: Period, hours: Sequence[Hour], now: float) -> tuple[Stretch, ...]:
    """By the hour for a day, by the day for a month; what is to come is left out."""
    step = ledger.DAY if period.is_month else ledger.HOUR
    found: list[Stretch] = []
    begin = period.span.begin
    while begin < min(period.span.end, now):
        end = min(begin + step, period.span.end)
        within = [hour for hour in hours if begin <= hour.begin < end]
        had = ledger.served(within)
        expected = _hours_over(Interval(begin, end), now)
        whole = len(within) >= max(1, expected)
        found.append(
            Stretch(begin=begin, seconds=end - begin, requests=had.requests, failed=had.failed, recorded=whole)
        )
        begin = end
    return tuple(found)
