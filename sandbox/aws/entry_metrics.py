"""What an Application Load Balancer tells CloudWatch each minute, from what the front door has counted.

Names, dimensions and reporting criteria: "CloudWatch metrics for your Application Load Balancer" in AWS's user guide.
What did not happen in a minute is not reported, and of each count every sample is 1. There are no Availability Zones
here, so the dimension sets that hold one are left out.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from sandbox.aws.metrics import Datum, Metric, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.aws.metrics import Metrics
    from sandbox.fleet.balancer import TargetKey
    from sandbox.fleet.frontdoor import DoorCounters, GroupCounters

NAMESPACE: Final = "AWS/ApplicationELB"
PERIOD_SECONDS: Final = 60.0
# Metric -> the counter behind it. All are reported for the load balancer and for each of its target groups.
_COUNTS: Final[Mapping[str, str]] = {
    "RequestCount": "requests",
    "HTTPCode_Target_2XX_Count": "target_2xx",
    "HTTPCode_Target_3XX_Count": "target_3xx",
    "HTTPCode_Target_4XX_Count": "target_4xx",
    "HTTPCode_Target_5XX_Count": "target_5xx",
    "TargetConnectionErrorCount": "connection_errors",
}
# What the load balancer answered by itself is reported for the load balancer only.
_STATUSES: Final = (500, 502, 503, 504)


class Door(Protocol):
    """What is asked of a front door."""

    def counters(self) -> DoorCounters: ...

    def health(self) -> Mapping[TargetKey, str]: ...


class EntryMetrics:
    """One load balancer's metrics. Counting begins with it.

    `period_seconds`: how often a load balancer reports. It is AWS's and is never scaled in a scenario.
    """

    def __init__(
        self,
        metrics: Metrics,
        region: str,
        load_balancer_arn: str,
        door: Door,
        *,
        clock: Callable[[], float] = time.time,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        self._metrics = metrics
        self._region = region
        self._load_balancer = load_balancer_arn
        self._door = door
        self._period = period_seconds
        self._published = clock() // period_seconds
        self._counted = door.counters()

    def publish_when_due(self, now: float) -> None:
        """Publish what happened since the last time, when a period has ended. Its time is the begin of that period."""
        period = now // self._period
        if period > self._published:
            self._published = period  # first: who does not answer is asked again in the next period
            counted, health = self._door.counters(), self._door.health()
            before, self._counted = self._counted, counted
            data = datapoints(self._load_balancer, before, counted, health, (period - 1) * self._period)
            self._metrics.put(self._region, data)


def datapoints(
    load_balancer_arn: str, before: DoorCounters, after: DoorCounters, health: Mapping[TargetKey, str], at: float
) -> tuple[Datum, ...]:
    """What is reported for the time between two counts, and of the targets' health at its end."""
    entry = {"LoadBalancer": load_balancer_dimension(load_balancer_arn)}
    found: list[Datum] = []
    happened: Counter[str] = Counter()
    times: Counter[float] = Counter()
    for arn, counts in after.groups.items():
        here, took = _difference(before.groups.get(arn), counts)
        happened.update(here)
        times.update(took)
        found += _reported({**entry, "TargetGroup": target_group_dimension(arn)}, here, took, at)
    found += _reported(entry, happened, times, at)
    found += _refused(entry, before.elb_status, after.elb_status, at)
    for arn in dict.fromkeys(arn for arn, _, _ in health):
        group = {**entry, "TargetGroup": target_group_dimension(arn)}
        states = Counter(state for (of, _, _), state in health.items() if of == arn)
        for name, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy")):
            found.append(_datum(name, group, {float(states[state]): 1.0}, at))
    return tuple(found)


def load_balancer_dimension(arn: str) -> str:
    """`app/<name>/<id>`, the end of a load balancer's ARN."""
    return arn.partition(":loadbalancer/")[2]


def target_group_dimension(arn: str) -> str:
    """`targetgroup/<name>/<id>`, the end of a target group's ARN."""
    return arn.rpartition(":")[2]


def _difference(before: GroupCounters | None, after: GroupCounters) -> tuple[Counter[str], Counter[float]]:
    """What happened in between, without what did not: Counter's subtraction keeps what is positive."""
    names = _COUNTS.values()
    counts = Counter({name: getattr(after, name) for name in names})
    times = Counter(after.response_times)
    if before is None:
        return +counts, times
    return counts - Counter({name: getattr(before, name) for name in names}), times - Counter(before.response_times)


def _reported(
    dimensions: Mapping[str, str], happened: Mapping[str, int], times: Mapping[float, int], at: float
) -> Iterator[Datum]:
    for name, counter in _COUNTS.items():
        if count := happened.get(counter):
            yield _datum(name, dimensions, {1.0: count}, at)
    if times:
        yield _datum("TargetResponseTime", dimensions, times, at, unit="Seconds")


def _refused(
    dimensions: Mapping[str, str], before: Mapping[int, int], after: Mapping[int, int], at: float
) -> Iterator[Datum]:
    refused = Counter(after) - Counter(before)
    for status in _STATUSES:
        if refused[status]:
            yield _datum(f"HTTPCode_ELB_{status}_Count", dimensions, {1.0: refused[status]}, at)
    if total := sum(count for status, count in refused.items() if status >= _STATUSES[0]):
        yield _datum("HTTPCode_ELB_5XX_Count", dimensions, {1.0: total}, at)


def _datum(
    name: str, dimensions: Mapping[str, str], values: Mapping[float, float], at: float, *, unit: str = "Count"
) -> Datum:
    return Datum(Metric.of(NAMESPACE, name, dimensions), at, Summary.of(values), unit)
