"""Keeping the ledger of one Region: hours folded from the counters, reports made of hours and incidents.

May be repeated, and several may run at once: whatever is written was computed anew from what can be read again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import ledger, ledger_page, ledger_periods, ledger_report
from standfast.errors import CorruptStateError, StandfastError
from standfast.ledger import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import FleetConfig
    from standfast.ledger_periods import Period
    from standfast.ledger_ports import Counters, LedgerStore, ReportStore
    from standfast.ledger_report import FleetReport, RegionReport
    from standfast.ports import Metrics
    from standfast.stores import ConfigStore, IncidentLog

JSON_TYPE, PAGE_TYPE = "application/json", "text/html; charset=utf-8"

logger = logging.getLogger("standfast.ledger")


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did. `rates` is metric -> value, as published."""

    hours: int
    rates: dict[str, float]


@dataclass(frozen=True, slots=True)
class LedgerKeeper:
    """One Region with its ports."""

    scope_id: str
    configs: ConfigStore
    counters: Counters
    store: LedgerStore
    incidents: IncidentLog
    reports: ReportStore
    metrics: Metrics

    def fold(self, now: float) -> Folded:
        """Read what was counted, write the hours that are not final, and publish how fast the budget burns.

        Raises what the ports raise; what was not read now is read the next time.
        """
        config = self.configs.read_config().config
        rules = config.availability
        known = self.store.hours(ledger.hour_of(now) - rules.window_days * ledger.DAY, now)
        begin, end = ledger.reading_begin(known, now), ledger.reading_end(now)
        minutes = self.counters.counted(config.region(self.scope_id).bound_entry(), begin, end)
        written = ledger.fold(minutes, known, config.model.name, now)
        for hour in written:
            self.store.write_hour(hour)
        hours = sorted(
            ({each.begin: each for each in known} | {each.begin: each for each in written}).values(), key=_at
        )
        left = Budget(rules.objective, ledger.served(hours)).left
        rates = {**ledger.burn_rates(minutes, hours, rules, now), "BudgetLeftPercent": 100 * left}
        self.metrics.put(rates, now)
        return Folded(len(written), rates)

    def report_due(self, now: float) -> list[str]:
        """Write the reports that are due and not final. Returns the keys of what was written."""
        written: list[str] = []
        for period in ledger_periods.due(now):
            region = self._standing(period)
            if region is None or not region.is_final:
                region = self.region_report(period, now)
                written += self._write("region", period.name, region)
            standing = self.reports.read(_key("fleet", period.name), self.scope_id)
            if standing is None or not ledger_report.is_final(standing):
                written += self._write("fleet", period.name, self.fleet_report(period, region, now))
        return written

    def report(self, period: Period, now: float) -> tuple[RegionReport, list[str]]:
        """Make the reports of a period anew, whatever there is. Returns the Region's, and the keys written."""
        region = self.region_report(period, now)
        fleet = self.fleet_report(period, region, now)
        written = [*self._write("region", period.name, region), *self._write("fleet", period.name, fleet)]
        return region, written

    def region_report(self, period: Period, now: float) -> RegionReport:
        """This Region's, as of now."""
        config = self.configs.read_config().config
        rules = config.availability
        begin = min(period.span.begin, period.span.end - rules.window_days * ledger.DAY)
        hours = self.store.hours(begin, period.span.end)
        # The open ones first: one that is closed between the two reads is then in both, and never in none.
        opened = self.incidents.open_incidents()
        known = {each.incident_id: each for each in (*opened, *self.incidents.closed_since(period.span.begin))}
        return ledger_report.region_report(config.fleet, self.scope_id, period, hours, list(known.values()), rules, now)

    def fleet_report(self, period: Period, here: RegionReport, now: float) -> FleetReport:
        """This Region's with those that the other Regions wrote. A Region that cannot be read is missing."""
        config = self.configs.read_config().config
        found = {name: here if name == self.scope_id else self._of(name, period) for name in _regions(config)}
        return ledger_report.fleet_report(config.fleet, period, found, config.availability, now)

    def _of(self, region: str, period: Period) -> RegionReport | None:
        key = _key("region", period.name)
        try:
            text = self.reports.read(key, region)
            return None if text is None else ledger_report.read_region_report(text, f"{key} of {region}")
        except StandfastError as error:  # a Region that is away must not hide the others
            logger.warning("the report %s of %s cannot be read: %s", period.name, region, error)
            return None

    def _standing(self, period: Period) -> RegionReport | None:
        """The report that was written before; one that cannot be understood is made anew."""
        key = _key("region", period.name)
        text = self.reports.read(key, self.scope_id)
        try:
            return None if text is None else ledger_report.read_region_report(text, key)
        except CorruptStateError as error:
            logger.warning("%s", error)
            return None

    def _write(self, kind: str, name: str, report: RegionReport | FleetReport) -> list[str]:
        """The page first: whoever finds the JSON finds its page too."""
        keys = [_key(kind, name, "html"), _key(kind, name)]
        self.reports.write(keys[0], ledger_page.page(report), PAGE_TYPE)
        self.reports.write(keys[1], report.model_dump_json(indent=1), JSON_TYPE)
        return keys


def _key(kind: str, name: str, ending: str = "json") -> str:
    return f"{kind}/{name}.{ending}"


def _regions(config: FleetConfig) -> Sequence[str]:
    return sorted(config.regions)


def _at(hour: ledger.Hour) -> float:
    return hour.begin
