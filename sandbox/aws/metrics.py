"""CloudWatch's metrics: a bounded store for each Region, read by alarms and through the API alike.

moto keeps every datapoint in a list for ever, matches dimensions by their order and forgets the namespace, and knows no
percentiles. Here datapoints are aggregated as CloudWatch stores them: by second, or by minute (`StorageResolution`).
After 15 minutes seconds become minutes, as they do there after three hours, and lose their percentiles; minutes are
kept for eight hours, as there for 15 days: the ledger reads seven. `install` has moto's API answer from here. A
scenario takes metrics away with `silence` and `lose_reads`.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KEPT_SECONDS: Final = 8 * 3600.0
FINE_SECONDS: Final = 900.0
_MINUTE: Final = 60.0
_PRUNED_EACH_SECONDS: Final = 60.0
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")

Loss = Literal["fails", "empty"]


class UnknownStatisticError(ValueError):
    """A statistic that the sandbox cannot compute."""


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """What names a metric. `dimensions` are sorted: their order means nothing."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Self:
        """The metric with these dimensions."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of some values: a statistic set, and how often each value was there.

    `values` is empty where only the set was published: then there are no percentiles.
    """

    count: float
    total: float
    minimum: float
    maximum: float
    values: Mapping[float, float]

    @classmethod
    def of(cls, values: Mapping[float, float]) -> Self:
        """From value -> how often, not empty."""
        total = sum(value * often for value, often in values.items())
        return cls(sum(values.values()), total, min(values), max(values), dict(values))

    def __add__(self, other: Summary) -> Summary:
        both = Counter(self.values) + Counter(other.values) if self.values and other.values else Counter[float]()
        return Summary(
            self.count + other.count,
            self.total + other.total,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            dict(both),
        )

    def statistic(self, name: str) -> float | None:
        """Sum, Average, Minimum, Maximum, SampleCount or a percentile, `p99.9`. Raises UnknownStatisticError."""
        match name:
            case "Sum":
                return self.total
            case "Average":
                return self.total / self.count if self.count else None
            case "Minimum":
                return self.minimum
            case "Maximum":
                return self.maximum
            case "SampleCount":
                return self.count
        found = _PERCENTILE.fullmatch(name)
        if found is None:
            raise UnknownStatisticError(f"the sandbox does not compute the statistic {name}")
        return self._percentile(float(found[1]))

    def _percentile(self, percent: float) -> float | None:
        """By nearest rank: CloudWatch does not say how it interpolates."""
        wanted, seen = math.ceil(self.count * percent / 100), 0.0
        for value, often in sorted(self.values.items()):
            seen += often
            if seen >= wanted:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Datum:
    """What is published at once for one metric. `at`: seconds of the epoch. `resolution`: 1 or 60 seconds."""

    metric: Metric
    at: float
    summary: Summary
    unit: str = "None"
    resolution: int = 60


class Metrics:
    """The metrics of all Regions. Safe to use from several threads. `clock` gives seconds of the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        # Region -> metric -> (second or minute, unit) -> what was published there. A metric outlives its datapoints.
        self._stored: dict[str, dict[Metric, dict[tuple[float, str], Summary]]] = {}
        self._pruned_at = 0.0
        self._silent: set[str | None] = set()  # None: every Region
        self._lost: dict[str | None, Loss] = {}

    def put(self, region: str, data: Iterable[Datum]) -> None:
        """Take what is published. Of a silent Region nothing arrives."""
        with self._lock:
            if not self._silent.isdisjoint((region, None)):
                return
            metrics = self._stored.setdefault(region, {})
            for datum in data:
                stored = metrics.setdefault(datum.metric, {})
                key = (datum.at // datum.resolution * datum.resolution, datum.unit)
                stored[key] = stored[key] + datum.summary if key in stored else datum.summary
            if (now := self.clock()) - self._pruned_at >= _PRUNED_EACH_SECONDS:
                self._pruned_at = now
                self._prune(now)

    def summaries(
        self, region: str, metric: Metric, start: float, end: float, period: float, unit: str | None = None
    ) -> dict[float, Summary]:
        """Begin of a period -> what lies in it, for the periods from `start` on that begin before `end`; in order.

        Periods without data are left out. `unit` None takes all units.
        """
        found: dict[float, Summary] = {}
        with self._lock:
            stored = sorted(self._stored.get(region, {}).get(metric, {}).items())
        for (at, of_unit), summary in stored:
            begin = start + (at - start) // period * period
            if at >= start and begin < end and unit in (None, of_unit):
                found[begin] = found[begin] + summary if begin in found else summary
        return found

    def metrics(self, region: str) -> tuple[Metric, ...]:
        """Every metric that was ever published in the Region."""
        with self._lock:
            return tuple(self._stored.get(region, ()))

    def silence(self, region: str | None = None) -> None:
        """Nothing that is published in the Region, or in any, arrives any more, as when CloudWatch cannot take it.

        Whoever publishes is not told. Alarms see missing data.
        """
        with self._lock:
            self._silent.add(region)

    def lose_reads(self, region: str | None = None, how: Loss = "fails") -> None:
        """Reads in the Region, or in any, fail (`fails`: InternalServiceError) or find nothing (`empty`).

        Alarms go on: they do not read through the API.
        """
        with self._lock:
            self._lost[region] = how

    def restore(self) -> None:
        """Ends `silence` and `lose_reads` everywhere. What was lost stays lost."""
        with self._lock:
            self._silent.clear()
            self._lost.clear()

    def loss(self, region: str) -> Loss | None:
        """How reads through the API are lost, or None."""
        with self._lock:
            return self._lost.get(region) or self._lost.get(None)

    def _prune(self, now: float) -> None:
        fine = (now - FINE_SECONDS) // _MINUTE * _MINUTE
        for metrics in self._stored.values():
            for metric, stored in metrics.items():
                kept: dict[tuple[float, str], Summary] = {}
                for (at, unit), summary in stored.items():
                    if at < now - KEPT_SECONDS:
                        continue
                    key = (at if at >= fine else at // _MINUTE * _MINUTE, unit)
                    found = summary if at >= fine else replace(summary, values={})
                    kept[key] = kept[key] + found if key in kept else found
                metrics[metric] = kept
