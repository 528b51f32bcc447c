"""Keeping the ledger: nothing is lost when a run is missed or repeated, and a Region that is away hides no other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from standfast import ledger, ledger_periods
from standfast.errors import AccessDeniedError, UnavailableError
from standfast.fleet import Entry, FleetConfig
from standfast.incidents import Incident
from standfast.ledger import DAY, HOUR, MINUTE, Counts, Hour
from standfast.ledger_keeping import LedgerKeeper
from standfast.ledger_report import FleetReport, read_region_report
from tests.builders import ACTIVE, NOW, SCOPE, document, fleet, view
from tests.fakes import FakeClusterTable, FakeIncidentLog, FakeMetrics

OTHER = "us-west-2"
TODAY = ledger_periods.due(NOW)[0]
YESTERDAY = ledger_periods.due(NOW)[1]


class FakeCounters:
    """So much in each minute; nothing once it `forgets`."""

    def __init__(self, each: Counts) -> None:
        self.each = each
        self.error: Exception | None = None
        self.forgets = False
        self.asked: list[tuple[float, float]] = []

    def counted(self, entry: Entry, begin: float, end: float) -> Mapping[float, Counts]:
        assert entry.target_groups
        if self.error:
            raise self.error
        self.asked.append((begin, end))
        return {} if self.forgets else {begin + at: self.each for at in range(0, int(end - begin), MINUTE)}


class FakeLedger:
    """LedgerStore in memory."""

    def __init__(self) -> None:
        self.kept: dict[float, Hour] = {}

    def hours(self, begin: float, end: float) -> Sequence[Hour]:
        return [hour for at, hour in sorted(self.kept.items()) if begin <= at < end]

    def write_hour(self, hour: Hour) -> None:
        stands = self.kept.get(hour.begin)
        if stands is None or stands.read_at <= hour.read_at:
            self.kept[hour.begin] = hour


class FakeReports:
    """ReportStore in memory: (Region, key) -> text. Writes go to SCOPE."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.away: set[str] = set()
        self.written: list[str] = []

    def read(self, key: str, region: str) -> str | None:
        if region in self.away:
            raise AccessDeniedError(f"GetObject {key}")
        return self.kept.get((region, key))

    def write(self, key: str, text: str, content_type: str) -> None:
        assert content_type.startswith("text/html" if key.endswith(".html") else "application/json")
        self.written.append(key)
        self.kept[SCOPE, key] = text


class World:
    def __init__(self, config: FleetConfig | None = None, *incidents: Incident) -> None:
        self.counters = FakeCounters(Counts(requests=100, failed=1, canaries=60))
        self.ledger, self.reports, self.metrics = FakeLedger(), FakeReports(), FakeMetrics()
        self.incidents = FakeIncidentLog(*incidents)
        table = FakeClusterTable(view(config=config))
        self.keeper = LedgerKeeper(SCOPE, table, self.counters, self.ledger, self.incidents, self.reports, self.metrics)

    def region(self, name: str = TODAY.name) -> str:
        return self.reports.kept[SCOPE, f"region/{name}.json"]

    def fleet(self, name: str = TODAY.name) -> FleetReport:
        return FleetReport.model_validate_json(self.reports.kept[SCOPE, f"fleet/{name}.json"])


def two_regions() -> FleetConfig:
    """The same fleet, with a second Region like the first."""
    text = json.dumps(document()["regions"][SCOPE])
    elsewhere = json.loads(text.replace(SCOPE, OTHER).replace("use1", "usw2"))
    return fleet(regions={**document()["regions"], OTHER: elsewhere})


def test_the_first_fold_records_what_can_be_read_and_publishes_how_fast_the_budget_burns() -> None:
    world = World()
    folded = world.keeper.fold(NOW)
    assert folded.hours == len(world.ledger.kept) == 7
    assert folded.rates["BurnRate1h"] == pytest.approx(10)
    assert folded.rates["BudgetLeftPercent"] == pytest.approx(-900)
    assert world.metrics.values("BurnRate5m") == [folded.rates["BurnRate5m"]]


def test_folding_again_changes_nothing_but_the_time_of_reading() -> None:
    world = World()
    world.keeper.fold(NOW)
    before = {at: hour.counts for at, hour in world.ledger.kept.items()}
    world.keeper.fold(NOW)
    assert {at: hour.counts for at, hour in world.ledger.kept.items()} == before


def test_a_ledger_that_nobody_kept_for_two_days_has_no_gap_afterwards() -> None:
    world = World()
    world.keeper.fold(NOW)
    world.keeper.fold(NOW + 2 * DAY)
    hours = world.ledger.hours(NOW - 6 * HOUR, NOW + 2 * DAY)
    assert {later.begin - earlier.begin for earlier, later in itertools.pairwise(hours)} == {HOUR}
    assert {hour.counts.requests for hour in hours[:-1]} == {6000}


def test_counters_that_answer_with_nothing_take_nothing_back() -> None:
    world = World()
    world.keeper.fold(NOW + 30 * MINUTE)
    world.counters.forgets = True
    world.keeper.fold(NOW + 35 * MINUTE)
    assert world.ledger.kept[NOW].counts.requests == 2800
    assert world.ledger.kept[NOW].read_at == NOW + 35 * MINUTE


def test_counters_that_cannot_be_read_are_read_the_next_time() -> None:
    world = World()
    world.counters.error = UnavailableError("GetMetricData")
    with pytest.raises(UnavailableError):
        world.keeper.fold(NOW)
    assert (world.ledger.kept, world.metrics.put_at) == ({}, [])
    world.counters.error = None
    assert world.keeper.fold(NOW + 300).hours == 7


def test_what_is_due_is_written_as_json_and_page_of_region_and_fleet() -> None:
    world = World()
    world.keeper.fold(NOW)
    written = world.keeper.report_due(NOW)
    assert written == world.reports.written
    for kind in ("region", "fleet"):
        for ending in ("html", "json"):
            assert f"{kind}/{TODAY.name}.{ending}" in written
            assert f"{kind}/{TODAY.name[:7]}.{ending}" in written
    assert read_region_report(world.region(), "it").total.requests > 0
    assert "<svg" in world.reports.kept[SCOPE, f"region/{TODAY.name}.html"]


def whole_day(world: World) -> float:
    """All of yesterday is recorded. Returns a moment at which its report can be final."""
    now = TODAY.span.begin + HOUR
    for number in range(24):
        world.ledger.write_hour(Hour(YESTERDAY.span.begin + number * HOUR, Counts(requests=10), "tiny", now))
    return now


def test_a_final_report_is_left_alone_and_one_that_is_not_is_made_anew() -> None:
    world = World()
    now = whole_day(world)
    first = world.keeper.report_due(now)
    again = world.keeper.report_due(now + HOUR)
    assert f"region/{YESTERDAY.name}.json" in first
    assert f"fleet/{YESTERDAY.name}.json" in first
    assert not [key for key in again if YESTERDAY.name in key]
    assert f"region/{TODAY.name}.json" in again


def test_a_damaged_report_is_made_anew() -> None:
    world = World()
    now = whole_day(world)
    world.keeper.report_due(now)
    world.reports.kept[SCOPE, f"region/{YESTERDAY.name}.json"] = "{"
    assert f"region/{YESTERDAY.name}.json" in world.keeper.report_due(now)


def test_the_fleet_waits_for_a_region_that_is_late_and_takes_it_in() -> None:
    world = World(two_regions())
    now = whole_day(world)
    world.keeper.report_due(now)
    assert world.fleet(YESTERDAY.name).missing == (OTHER,)
    theirs = read_region_report(world.region(YESTERDAY.name), "it").model_copy(update={"region": OTHER})
    world.reports.kept[OTHER, f"region/{YESTERDAY.name}.json"] = theirs.model_dump_json()
    world.keeper.report_due(now + HOUR)
    found = world.fleet(YESTERDAY.name)
    assert (found.missing, found.is_final, found.total.requests) == ((), True, 480)


def test_a_region_that_cannot_be_read_is_missing_and_the_others_are_reported() -> None:
    world = World(two_regions())
    world.reports.away = {OTHER}
    world.keeper.fold(NOW)
    world.keeper.report_due(NOW)
    assert world.fleet().missing == (OTHER,)
    assert [each.region for each in world.fleet().regions] == [SCOPE]


def test_on_demand_a_final_report_too_is_made_anew() -> None:
    world = World()
    now = whole_day(world)
    world.keeper.report_due(now)
    late = Incident("i-1", SCOPE, ACTIVE, "dead", YESTERDAY.span.begin, YESTERDAY.span.begin, affects_users=True)
    closed = replace(late, well_since=YESTERDAY.span.begin + 60, closed_at=YESTERDAY.span.begin + 120)
    world.incidents.closed.append(closed)
    report, written = world.keeper.report(YESTERDAY, now)
    assert report.down_seconds == 60
    assert f"fleet/{YESTERDAY.name}.html" in written


def test_an_open_incident_counts_and_one_that_was_closed_long_before_does_not() -> None:
    begun = Incident("i-2", SCOPE, ACTIVE, "dead", NOW - 100, NOW - 98, affects_users=True)
    world = World(None, begun)
    old = replace(begun, incident_id="i-0", opened_at=NOW - 9 * DAY, well_since=NOW - 9 * DAY + 5)
    world.incidents.closed.append(replace(old, closed_at=NOW - 9 * DAY + 70))
    report = world.keeper.region_report(TODAY, NOW)
    assert [line.incident_id for line in report.incidents] == ["i-2"]
    assert report.down_seconds == 100


def test_the_reading_goes_back_for_every_window_in_minutes() -> None:
    world = World()
    world.keeper.fold(NOW)
    ((begin, end),) = world.counters.asked
    assert end - begin >= max(seconds for seconds in ledger.WINDOWS.values() if seconds <= ledger.BACK_SECONDS)
