"""Reports of a Region and of the fleet: incidents counted once, gaps said, nothing divided by zero; and their page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import ledger_page, ledger_periods, ledger_report
from standfast.availability_rules import AvailabilityRules
from standfast.errors import CorruptStateError
from standfast.incidents import Incident, Kind
from standfast.ledger import DAY, HOUR, Counts, Hour
from standfast.ledger_report import FleetReport, RegionReport
from tests.builders import ACTIVE, SCOPE

RULES = AvailabilityRules()
TODAY = ledger_periods.period("2027-01-15")
MONTH = ledger_periods.period("2027-01")
BEGIN, END = TODAY.span.begin, TODAY.span.end
AFTER = END + HOUR


def hour(number: int, requests: int = 1000, failed: int = 0, *, model: str = "tiny", read_at: float = AFTER) -> Hour:
    return Hour(BEGIN + number * HOUR, Counts(requests=requests, failed=failed), model, read_at)


WHOLE_DAY = [hour(number) for number in range(24)]


def incident(begin: float, end: float | None, **changes: object) -> Incident:
    """One that users felt, from and to so many seconds after the day began."""
    well = None if end is None else BEGIN + end
    one = Incident(
        f"i-{begin}-{end}", SCOPE, ACTIVE, "0 of 4 pass", BEGIN + begin, BEGIN + begin + 2, affects_users=True
    )
    return replace(one, well_since=well, closed_at=None if well is None else well + 60, **changes)  # type: ignore[arg-type]


def report(
    hours: Sequence[Hour] = WHOLE_DAY,
    incidents: Sequence[Incident] = (),
    *,
    now: float = AFTER,
    period: ledger_periods.Period = TODAY,
    region: str = SCOPE,
) -> RegionReport:
    return ledger_report.region_report("chat", region, period, hours, incidents, RULES, now)


# A Region


def test_a_good_day_is_all_good_and_final() -> None:
    found = report()
    assert (found.total.requests, found.total.availability, found.available_by_time) == (24_000, 1.0, 1.0)
    assert (found.hours_recorded, found.hours, found.is_final) == (24, 24, True)
    assert (found.budget.left, found.down, found.incidents) == (1.0, (), ())


def test_a_day_of_which_nothing_is_known_is_no_good_day_and_no_bad_one() -> None:
    found = report([], now=BEGIN)
    assert (found.total.availability, found.available_by_time, found.budget.left) == (None, None, 1.0)
    assert (found.hours, found.is_final, found.timeline) == (0, False, ())
    assert report([]).hours == 24
    assert not report([]).is_final


def test_incidents_that_overlap_are_counted_once_and_the_open_one_until_now() -> None:
    now = BEGIN + 1000
    found = report(WHOLE_DAY[:1], [incident(100, 200), incident(150, 300), incident(900, None)], now=now)
    assert found.down == ((BEGIN + 100, BEGIN + 300), (BEGIN + 900, now))
    assert found.down_seconds == 300
    assert found.available_by_time == pytest.approx(0.7)
    assert [line.end for line in found.incidents] == [BEGIN + 200, BEGIN + 300, None]


def test_an_incident_that_goes_on_over_midnight_is_counted_in_both_days_by_its_part() -> None:
    before = ledger_periods.period("2027-01-14")
    crossing = incident(-600, 300)
    assert report(incidents=[crossing]).down_seconds == 300
    assert report(incidents=[crossing], period=before).down_seconds == 600
    assert report(incidents=[crossing], period=MONTH).down_seconds == 900


def test_an_incident_that_nobody_felt_and_a_missing_standby_are_listed_and_are_no_outage() -> None:
    unfelt, alone = incident(0, 60, affects_users=False), incident(0, 500, kind=Kind.REDUNDANCY)
    found = report(incidents=[unfelt, alone])
    assert (found.down_seconds, found.without_standby_seconds, len(found.incidents)) == (0, 500, 2)
    assert not any(line.affects_users for line in found.incidents)


def test_an_hour_that_was_not_recorded_is_said_and_keeps_the_report_from_being_final() -> None:
    found = report(WHOLE_DAY[:5] + WHOLE_DAY[6:])
    assert (found.hours_recorded, found.hours, found.is_final) == (23, 24, False)
    assert [each.recorded for each in found.timeline].index(False) == 5
    assert "23 of 24 hours" in ledger_page.page(found)


def test_the_figures_of_each_model_add_up_to_the_total() -> None:
    hours = [hour(0, 100, 1, model="old"), hour(1, 300, 2, model="new"), hour(2, 50, 0, model="new")]
    found = report(hours)
    assert {name: (each.requests, each.failed) for name, each in found.models.items()} == {
        "new": (350, 2),
        "old": (100, 1),
    }
    assert (found.total.requests, found.total.failed) == (450, 3)


def test_the_budget_of_a_day_is_that_of_the_days_before_it_and_of_a_month_its_own() -> None:
    earlier = [hour(-24 * 20, 1_000_000, 500), hour(-24 * 40, 1_000_000, 10**6)]
    found = report([*earlier, *WHOLE_DAY])
    assert (found.budget.days, found.budget.requests, found.budget.failed) == (30, 1_024_000, 500)
    assert found.total.failed == 0
    month = report([*earlier, *WHOLE_DAY], period=MONTH)
    assert (month.budget.days, month.budget.failed) == (31, 0)


def test_a_month_is_drawn_by_the_day_and_what_is_to_come_is_not() -> None:
    found = report(period=MONTH)
    assert len(found.timeline) == 16
    assert found.timeline[14].requests == 24_000
    assert found.timeline[0].recorded is False


SPAN = st.tuples(st.integers(-5000, 90_000), st.one_of(st.none(), st.integers(1, 40_000)))


@given(st.lists(SPAN, max_size=8), st.integers(1, 2 * DAY))
def test_users_are_never_without_service_for_longer_than_the_time_that_is_over(
    spans: list[tuple[int, int | None]], after: int
) -> None:
    incidents = [incident(begin, None if length is None else begin + length) for begin, length in spans]
    found = report(incidents=incidents, now=BEGIN + after)
    over = min(after, DAY)
    assert 0 <= found.down_seconds <= over
    assert found.available_by_time == pytest.approx(1 - found.down_seconds / over)
    assert found.down_seconds <= sum(line.seconds for line in found.incidents) + 1e-6


def test_a_report_is_read_back_as_it_was_written_and_a_damaged_one_is_refused() -> None:
    found = report(incidents=[incident(0, 60)])
    text = found.model_dump_json()
    assert ledger_report.read_region_report(text, "it") == found
    with pytest.raises(CorruptStateError, match="it cannot be understood"):
        ledger_report.read_region_report(text[:-20], "it")
    with pytest.raises(CorruptStateError, match="schema version 2"):
        ledger_report.read_region_report(found.model_copy(update={"schema_version": 2}).model_dump_json(), "it")


# The fleet


def fleet(**found: RegionReport | None) -> FleetReport:
    named = {name.replace("_", "-"): each for name, each in found.items()}
    return ledger_report.fleet_report("chat", TODAY, named, RULES, AFTER)


def test_the_fleet_is_the_sum_of_its_regions() -> None:
    one = report(incidents=[incident(0, 100)], hours=[hour(0, 100, 10)])
    two = report(incidents=[incident(60, 200)], hours=[hour(0, 300, 0)], region="us-west-2")
    found = fleet(us_east_1=one, us_west_2=two)
    assert (found.total.requests, found.total.failed, found.total.availability) == (400, 10, 0.975)
    assert (found.some_down_seconds, found.all_down_seconds) == (200, 40)
    assert found.models["tiny"].requests == 400
    assert (found.budget.requests, found.budget.failed) == (400, 10)


def test_a_region_that_did_not_report_is_named_and_nobody_says_that_all_were_well() -> None:
    found = fleet(us_east_1=report(), us_west_2=None)
    assert (found.missing, found.all_down_seconds, found.is_final) == (("us-west-2",), None, False)
    page = ledger_page.page(found)
    assert "us-west-2 did not report" in page
    assert "not known, a Region is missing" in page


def test_a_fleet_of_which_nobody_reported_has_no_availability() -> None:
    found = fleet(us_east_1=None)
    assert (found.total.availability, found.budget.left) == (None, 1.0)
    assert "did not report" in ledger_page.page(found)


def test_a_fleet_is_final_when_all_its_regions_are() -> None:
    assert ledger_report.is_final(fleet(us_east_1=report()).model_dump_json())
    assert not ledger_report.is_final(fleet(us_east_1=report([])).model_dump_json())
    assert not ledger_report.is_final("{}")


# The page

EVIL = "<script>alert(1)</script>&\"'"


class _Page(HTMLParser):
    """Tags that are open at the end, and every tag, attribute and box that there was."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.boxes: list[dict[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "rect":
            self.boxes.append({name: value or "" for name, value in attrs})
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def pages() -> list[str]:
    bad = incident(3600, None, cause=EVIL, cluster_id=EVIL)
    region = report([hour(0, 10, 1, model=EVIL)], [bad, incident(0, 60, kind=Kind.REDUNDANCY)], region=EVIL)
    return [ledger_page.page(region), ledger_page.page(fleet(us_east_1=region, evil=None)), ledger_page.page(report())]


@pytest.mark.parametrize("number", range(3))
def test_a_page_is_whole_and_nothing_in_it_runs_or_comes_from_elsewhere(number: int) -> None:
    text = pages()[number]
    parsed = _Page(text)
    assert parsed.open == []
    assert not parsed.tags & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in {"src", "href", "xlink:href"}]
    assert not re.search(r"https?:|url\(|@import", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in parsed.attributes


@pytest.mark.parametrize("number", range(3))
def test_the_timeline_stays_inside_its_frame(number: int) -> None:
    parsed = _Page(pages()[number])
    (view,) = [value for name, value in parsed.attributes if name == "viewbox"]
    _, _, width, height = (float(each) for each in view.split())
    assert parsed.boxes
    for box in parsed.boxes:
        assert 0 <= float(box["x"]) <= float(box["x"]) + float(box["width"]) <= width + 2
        assert 0 <= float(box["y"]) <= float(box["y"]) + float(box["height"]) <= height


def test_an_incident_of_seconds_is_still_seen_in_a_month() -> None:
    text = ledger_page.page(report(incidents=[incident(0, 3)], period=MONTH))
    assert re.search(r'<rect class="bad"[^>]* width="1.5"', text)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, "100 %"),
        (0.999_999_9, "99.9999 %"),
        (0.9, "90 %"),
        (0.0, "0 %"),
        (None, "no requests"),
        (0.99995, "99.995 %"),
    ],
)
def test_what_is_not_whole_never_reads_as_whole(share: float | None, said: str) -> None:
    assert ledger_page.percent(share) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (12.5, "12.5 s"), (245, "4 min 05 s"), (7380, "2 h 03 min"), (90_000, "25 h 00 min")],
)
def test_durations_are_said_in_two_units(seconds: float, said: str) -> None:
    assert ledger_page.duration(seconds) == said
