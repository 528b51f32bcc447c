"""The metrics seam: EMF and the front door's counts are what CloudWatch's API answers, until they are lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws import metrics_api
from sandbox.aws.embedded_metrics import MalformedMetricError, parse
from sandbox.aws.entry_metrics import EntryMetrics, datapoints
from sandbox.aws.metrics import Datum, Metric, Metrics, Summary
from sandbox.aws.monitoring import Monitoring
from sandbox.fleet.frontdoor import DoorCounters, FrontDoor, GroupCounters
from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup
from tests.sandbox.conftest import wait_for

REGION = "us-west-2"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
SESSION: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
BALANCER = "arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/app/entry/50dc6c495c0c9188"
GROUP = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/gpu-a/943f017f100becff"
ENTRY = {"LoadBalancer": "app/entry/50dc6c495c0c9188"}
IN_GROUP = {**ENTRY, "TargetGroup": "targetgroup/gpu-a/943f017f100becff"}


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def embedded(*, at: float = NOON, resolution: int = 1, **members: Any) -> str:
    names = ("Passes", "Down")
    about = {
        "Timestamp": int(at * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": "Standfast",
                "Dimensions": [["Fleet", "Region"], ["Fleet"]],
                "Metrics": [{"Name": name, "Unit": "Count", "StorageResolution": resolution} for name in names],
            }
        ],
    }
    return json.dumps(
        {"_aws": about, "Fleet": "f", "Region": REGION, "Passes": 5, "Down": [0, 1, 1], "level": "INFO", **members}
    )


# EMF


def test_each_dimension_set_of_an_emf_line_has_each_metric() -> None:
    found = {(datum.metric.name, datum.metric.dimensions): datum for datum in parse(embedded(), NOON)}
    assert len(found) == 4
    passes = found["Passes", (("Fleet", "f"), ("Region", REGION))]
    assert (passes.metric.namespace, passes.at, passes.unit, passes.resolution) == ("Standfast", NOON, "Count", 1)
    assert passes.summary.total == 5
    down = found["Down", (("Fleet", "f"),)].summary
    assert (down.count, down.total, down.minimum, down.maximum) == (3, 2, 0, 1)


@pytest.mark.parametrize("line", ["", "START RequestId: 1", '{"level": "INFO"}', '{"_aws": 5}', '{"a": "\\"_aws\\""}'])
def test_other_lines_are_no_metrics(line: str) -> None:
    assert parse(line, NOON) == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("got " + embedded(), "no JSON"),
        (embedded(Passes="5"), "Passes"),
        (embedded(Passes=None), "Passes"),
        (embedded(Passes=True), "Passes"),
        (embedded(Down=[0.0] * 101), "Down"),
        (embedded(Fleet=3), "Fleet"),
        (embedded(resolution=10), "StorageResolution"),
        (embedded().replace('"Count"', '"Items"'), "Unit"),
        (embedded().replace('"Namespace"', '"namespace"'), "Namespace"),
        (embedded(at=NOON - 15 * 86_400), "Timestamp"),
        (embedded(at=NOON + 3 * 3_600), "Timestamp"),
    ],
)
def test_a_line_that_does_not_follow_the_format_is_refused_with_the_reason(line: str, why: str) -> None:
    with pytest.raises(MalformedMetricError, match=why):
        parse(line, NOON)


# The store and the API


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Iterator[Metrics]:
    with mock_aws():
        metrics = Metrics(clock)
        take_back = metrics_api.install(metrics)
        yield metrics
        take_back()


def client() -> Any:
    return SESSION.client("cloudwatch", config=Config(retries={"mode": "standard", "total_max_attempts": 1}))


def put(metrics: Metrics, name: str, values: Mapping[float, float], *, at: float = NOON, **dimensions: str) -> None:
    metrics.put(REGION, [Datum(Metric.of("N", name, dimensions), at, Summary.of(values))])


def ask(name: str, statistic: str, *, seconds: int = 300, **dimensions: str) -> list[tuple[float, float]]:
    """(timestamp, value), the newest first, of the periods of a minute around noon."""
    metric = {
        "Namespace": "N",
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in reversed(dimensions.items())],
    }
    query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic}}
    (found,) = client().get_metric_data(
        MetricDataQueries=[query],
        StartTime=datetime.fromtimestamp(NOON - seconds, UTC),
        EndTime=datetime.fromtimestamp(NOON + seconds, UTC),
    )["MetricDataResults"]
    return [(moment.timestamp(), value) for moment, value in zip(found["Timestamps"], found["Values"], strict=True)]


def test_what_was_put_is_answered_by_period_with_the_newest_first(metrics: Metrics) -> None:
    put(metrics, "M", {1.0: 1, 4.0: 3}, at=NOON + 5)
    put(metrics, "M", {10.0: 1}, at=NOON + 59)
    put(metrics, "M", {7.0: 1}, at=NOON - 60)
    assert ask("M", "Sum") == [(NOON, 23.0), (NOON - 60, 7.0)]
    assert ask("M", "SampleCount")[0] == (NOON, 5.0)
    assert (ask("M", "Maximum")[0][1], ask("M", "Minimum")[0][1], ask("M", "Average")[0][1]) == (10.0, 1.0, 4.6)
    assert (ask("M", "p50")[0][1], ask("M", "p99")[0][1]) == (4.0, 10.0)


def test_dimensions_name_a_metric_whatever_their_order_and_all_of_them(metrics: Metrics) -> None:
    put(metrics, "M", {1.0: 1}, LoadBalancer="app/e/1", TargetGroup="targetgroup/g/2")
    assert ask("M", "Sum", LoadBalancer="app/e/1", TargetGroup="targetgroup/g/2") == [(NOON, 1.0)]
    assert ask("M", "Sum", TargetGroup="targetgroup/g/2", LoadBalancer="app/e/1") == [(NOON, 1.0)]
    assert ask("M", "Sum", LoadBalancer="app/e/1") == []
    assert ask("M", "Sum") == []


def test_what_the_api_puts_the_api_finds(metrics: Metrics) -> None:
    at = datetime.fromtimestamp(NOON, UTC)
    client().put_metric_data(
        Namespace="N",
        MetricData=[
            {"MetricName": "M", "Timestamp": at, "Values": [1, 2], "Counts": [1, 2], "Unit": "Count"},
            {"MetricName": "M", "Timestamp": at, "Value": 0.0, "StorageResolution": 1},
            {"MetricName": "M", "Timestamp": at, "StatisticValues": {"SampleCount": 2, "Sum": 5, "Minimum": 2,
                                                                     "Maximum": 3}},
        ],
    )  # fmt: skip
    (found,) = client().get_metric_statistics(
        Namespace="N", MetricName="M", StartTime=at, EndTime=datetime.fromtimestamp(NOON + 60, UTC), Period=60,
        Statistics=["Sum", "SampleCount", "Maximum"], Dimensions=[],
    )["Datapoints"]  # fmt: skip
    assert (found["Timestamp"], found["Sum"], found["SampleCount"], found["Maximum"]) == (at, 10.0, 6.0, 3.0)
    with pytest.raises(ClientError, match="statistic p101"):
        ask("M", "p101")


def test_a_metric_of_standard_resolution_lies_at_its_minute(metrics: Metrics) -> None:
    standard, high = (Metric.of("N", name, {}) for name in ("standard", "high"))
    for metric, resolution in ((standard, 60), (high, 1)):
        metrics.put(REGION, [Datum(metric, NOON + 45.5, Summary.of({1.0: 1}), resolution=resolution)])
    assert list(metrics.summaries(REGION, standard, NOON, NOON + 60, 10)) == [NOON]
    assert list(metrics.summaries(REGION, high, NOON, NOON + 60, 10)) == [NOON + 40]


def test_after_a_quarter_of_an_hour_seconds_are_minutes_with_the_same_sums(metrics: Metrics, clock: Clock) -> None:
    found = Metric("N", "M")
    metrics.put(REGION, [Datum(found, NOON + second, Summary.of({2.0: 1}), resolution=1) for second in (0, 10, 70)])
    assert list(metrics.summaries(REGION, found, NOON, NOON + 300, 1)) == [NOON, NOON + 10, NOON + 70]
    clock.now = NOON + 1100
    put(metrics, "other", {1.0: 1}, at=clock.now)
    minutes = metrics.summaries(REGION, found, NOON, NOON + 300, 1)
    assert {at: each.total for at, each in minutes.items()} == {NOON: 4.0, NOON + 60: 2.0}


def test_datapoints_are_forgotten_after_eight_hours_and_metrics_are_not(metrics: Metrics, clock: Clock) -> None:
    put(metrics, "M", {1.0: 1})
    clock.now = NOON + 8 * 3600 + 1
    put(metrics, "other", {1.0: 1}, at=clock.now)
    assert ask("M", "Sum") == []
    assert Metric("N", "M") in metrics.metrics(REGION)


def test_lost_reads_fail_or_find_nothing_until_they_are_restored(metrics: Metrics) -> None:
    put(metrics, "M", {1.0: 1})
    metrics.lose_reads(REGION)
    with pytest.raises(ClientError) as caught:
        ask("M", "Sum")
    assert caught.value.response["Error"]["Code"] == "InternalServiceError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    with pytest.raises(ClientError):
        client().list_metrics(Namespace="N")
    metrics.restore()
    metrics.lose_reads(how="empty")
    assert ask("M", "Sum") == []
    metrics.restore()
    assert ask("M", "Sum") == [(NOON, 1.0)]


def test_of_a_silent_region_nothing_arrives(metrics: Metrics) -> None:
    metrics.silence(REGION)
    put(metrics, "M", {1.0: 1})
    client().put_metric_data(Namespace="N", MetricData=[{"MetricName": "M", "Value": 1.0}])
    metrics.put("us-east-1", [Datum(Metric("N", "M"), NOON, Summary.of({1.0: 1}))])
    assert (metrics.metrics(REGION), metrics.metrics("us-east-1")) == ((), (Metric("N", "M"),))
    metrics.restore()
    metrics.silence()
    metrics.put("us-east-1", [Datum(Metric("N", "other"), NOON, Summary.of({1.0: 1}))])
    assert metrics.metrics("us-east-1") == (Metric("N", "M"),)
    metrics.restore()
    put(metrics, "M", {1.0: 1})
    assert ask("M", "Sum") == [(NOON, 1.0)]


# The load balancer's metrics


def _published(data: tuple[Datum, ...]) -> dict[tuple[str, bool], float]:
    """(metric, whether of the group) -> the sum, or the average of a time."""
    assert all(dict(datum.metric.dimensions) in (ENTRY, IN_GROUP) for datum in data)
    return {
        (datum.metric.name, dict(datum.metric.dimensions) == IN_GROUP): datum.summary.total
        if datum.unit == "Count"
        else datum.summary.total / datum.summary.count
        for datum in data
    }


def test_what_the_door_counted_between_two_times_is_reported_as_an_alb_does() -> None:
    before = DoorCounters({GROUP: GroupCounters(requests=5, target_2xx=5, response_times={0.1: 5})}, {404: 2, 503: 1})
    after = DoorCounters(
        {
            GROUP: GroupCounters(
                requests=12, target_2xx=9, target_5xx=1, connection_errors=2, response_times={0.1: 7, 0.4: 2}
            )
        },
        {404: 3, 502: 2, 503: 1, 504: 1},
    )
    health = {(GROUP, "i-1", 1): "healthy", (GROUP, "i-2", 1): "unhealthy", (GROUP, "i-3", 1): "initial"}
    data = datapoints(BALANCER, before, after, health, NOON)
    assert {datum.at for datum in data} == {NOON}
    found = _published(data)
    for in_group in (True, False):
        assert found.pop(("RequestCount", in_group)) == 7
        assert found.pop(("HTTPCode_Target_2XX_Count", in_group)) == 4
        assert found.pop(("HTTPCode_Target_5XX_Count", in_group)) == 1
        assert found.pop(("TargetConnectionErrorCount", in_group)) == 2
        assert found.pop(("TargetResponseTime", in_group)) == pytest.approx((0.1 * 2 + 0.4 * 2) / 4)
    assert found == {
        ("HTTPCode_ELB_502_Count", False): 2,
        ("HTTPCode_ELB_504_Count", False): 1,
        ("HTTPCode_ELB_5XX_Count", False): 3,
        ("HealthyHostCount", True): 1,
        ("UnHealthyHostCount", True): 1,
    }


def test_without_traffic_only_the_health_of_targets_is_reported() -> None:
    counted = DoorCounters({GROUP: GroupCounters(requests=5, response_times={0.1: 5})}, {503: 1})
    found = _published(datapoints(BALANCER, counted, counted, {(GROUP, "i-1", 1): "healthy"}, NOON))
    assert found == {("HealthyHostCount", True): 1, ("UnHealthyHostCount", True): 0}


@dataclass
class CountingDoor:
    requests: int = 0
    reachable: bool = True
    asked: list[str] = field(default_factory=list)

    def counters(self) -> DoorCounters:
        self.asked.append("counters")
        if not self.reachable:
            raise ConnectionError
        return DoorCounters({GROUP: GroupCounters(requests=self.requests)}, {})

    def health(self) -> dict[tuple[str, str, int], str]:
        return {}


def test_a_load_balancer_reports_each_minute_at_the_begin_of_it(clock: Clock) -> None:
    metrics, door = Metrics(clock), CountingDoor(requests=100)
    entry = EntryMetrics(metrics, REGION, BALANCER, door, clock=clock)
    for seconds, requests in ((30, 101), (59, 102), (61, 103), (90, 104), (125, 106)):
        door.requests = requests
        entry.publish_when_due(NOON + seconds)
    found = metrics.summaries(REGION, Metric.of("AWS/ApplicationELB", "RequestCount", ENTRY), NOON, NOON + 300, 60)
    assert {begin - NOON: summary.total for begin, summary in found.items()} == {0: 3, 60: 3}


def test_a_door_that_does_not_answer_is_asked_again_in_the_next_minute(clock: Clock) -> None:
    with mock_aws():
        monitoring, door = Monitoring(clock), CountingDoor()
        monitoring.watch_entry(REGION, BALANCER, door)
        door.reachable, door.requests = False, 5
        for seconds in (61, 62, 63):
            clock.now = NOON + seconds
            monitoring.tick()
        assert len(door.asked) == 2  # at the begin, and once
        door.reachable = True
        clock.now = NOON + 120
        monitoring.tick()
        monitoring.close()
    metric = Metric.of("AWS/ApplicationELB", "RequestCount", ENTRY)
    assert [one.total for one in monitoring.metrics.summaries(REGION, metric, NOON, NOON + 300, 60).values()] == [5]


def test_a_real_front_door_counts_what_is_reported(clock: Clock) -> None:
    metrics = Metrics(clock)
    target = Target("i-gone", "127.0.0.1", 1)
    group = TargetGroup(GROUP, (target,), "/health", 0.05, 0.5, healthy_threshold=2, unhealthy_threshold=1)
    with FrontDoor() as door:
        door.apply(Routing((Rule("rule", 1, None, (), {GROUP: 1}),), {GROUP: group}))
        entry = EntryMetrics(metrics, REGION, BALANCER, door, clock=clock)
        assert httpx.get(door.url, trust_env=False).status_code == 502
        wait_for("the check", lambda: set(door.health().values()) == {"unhealthy"})
        entry.publish_when_due(NOON + 60)
    found = {
        (metric.name, "TargetGroup" in dict(metric.dimensions)): summary.total
        for metric in metrics.metrics(REGION)
        for summary in metrics.summaries(REGION, metric, NOON, NOON + 60, 60).values()
    }
    assert found == {
        ("RequestCount", True): 1, ("RequestCount", False): 1,
        ("TargetConnectionErrorCount", True): 1, ("TargetConnectionErrorCount", False): 1,
        ("HTTPCode_ELB_502_Count", False): 1, ("HTTPCode_ELB_5XX_Count", False): 1,
        ("HealthyHostCount", True): 0, ("UnHealthyHostCount", True): 1,
    }  # fmt: skip
