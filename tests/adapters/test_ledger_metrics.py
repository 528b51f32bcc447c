"""What the ledger reads of CloudWatch, by the minute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from standfast.aws.calls import config
from standfast.aws.ledger_metrics import LedgerMetrics
from standfast.errors import ThrottledError
from standfast.fleet import FleetConfig
from standfast.ledger import Counts
from standfast.observation import COUNTED
from tests.builders import ACTIVE, NOW, SCOPE, document, fleet, target_group_arn

ENTRY = fleet().region(SCOPE).bound_entry()


@pytest.fixture
def client() -> Any:
    return boto3.client(
        "cloudwatch",
        region_name=SCOPE,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=config(attempts=1),
    )


def result(name: str, values: Mapping[float, float]) -> dict[str, Any]:
    return {
        "Id": name,
        "Label": name,
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in values],
        "Values": list(values.values()),
        "StatusCode": "Complete",
    }


def shedding() -> FleetConfig:
    """A fleet whose entry has a group that sheds."""
    regions = document()["regions"]
    regions[SCOPE]["entry"]["shed_target_group_arn"] = target_group_arn("shed")
    return fleet(regions=regions)


def asked(client: Any, entry: Any) -> dict[str, dict[str, Any]]:
    """Id -> metric of each query."""
    calls: list[dict[str, Any]] = []

    def remember(params: dict[str, Any], **_: object) -> None:
        calls.append(params)

    client.meta.events.register("provide-client-params.cloudwatch.GetMetricData", remember)
    with Stubber(client) as stub:
        stub.add_response("get_metric_data", {"MetricDataResults": []})
        LedgerMetrics("chat", SCOPE, client).counted(entry, NOW, NOW + 600)
    assert {query["MetricStat"]["Period"] for query in calls[0]["MetricDataQueries"]} == {60}
    return {query["Id"]: query["MetricStat"]["Metric"] for query in calls[0]["MetricDataQueries"]}


def dimensions(metric: Mapping[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in metric["Dimensions"]}


def test_minutes_are_summed_over_groups_and_pages(client: Any) -> None:
    expected: dict[str, Any] = {
        "MetricDataQueries": ANY,
        "StartTime": datetime.fromtimestamp(NOW, UTC),
        "EndTime": datetime.fromtimestamp(NOW + 600, UTC),
    }
    pages: list[dict[str, Any]] = [
        {
            "MetricDataResults": [
                result("g0requests", {NOW: 100, NOW + 60: 90}),
                result("g1requests", {NOW: 60}),
                result("g0failed", {NOW: 3}),
                result("entry5xx", {NOW: 4}),
                result("entry503", {NOW: 1}),
            ],
            "NextToken": "more",
        },
        {
            "MetricDataResults": [
                result("our_canaries", {NOW: 58, NOW + 60: 60}),
                result("our_idle", {NOW: 60}),
                result("our_idle_failed", {NOW + 120: 2}),
            ]
        },
    ]
    with Stubber(client) as stub:
        stub.add_response("get_metric_data", pages[0], expected)
        stub.add_response("get_metric_data", pages[1], {**expected, "NextToken": "more"})
        found = LedgerMetrics("chat", SCOPE, client).counted(ENTRY, NOW, NOW + 600)
    assert found == {
        NOW: Counts(requests=161, failed=7, canaries=58, idle=60),
        NOW + 60: Counts(requests=90, canaries=60),
        NOW + 120: Counts(idle_failed=2),
    }


def test_what_is_asked_for_is_what_the_load_balancer_and_the_watch_publish(client: Any) -> None:
    metrics = asked(client, ENTRY)
    assert dimensions(metrics["g0requests"]) == {
        "LoadBalancer": "app/entry/50dc6c495c0c9188",
        "TargetGroup": f"targetgroup/{ACTIVE}/73e2d6bc24d8a067",
    }
    assert metrics["entry5xx"]["MetricName"] == "HTTPCode_ELB_5XX_Count"
    assert dimensions(metrics["entry5xx"]) == {"LoadBalancer": "app/entry/50dc6c495c0c9188"}
    ours = [metric for metric in metrics.values() if metric["Namespace"] == "Standfast"]
    assert {metric["MetricName"] for metric in ours} == set(COUNTED)
    assert all(dimensions(metric) == {"Fleet": "chat", "Region": SCOPE} for metric in ours)


def test_requests_that_were_shed_are_requests_and_are_counted_apart_too(client: Any) -> None:
    entry = shedding().region(SCOPE).bound_entry()
    (name,) = [key for key, metric in asked(client, entry).items() if "targetgroup/shed/" in str(metric)
               and metric["MetricName"] == "RequestCount"]  # fmt: skip
    with Stubber(client) as stub:
        stub.add_response("get_metric_data", {"MetricDataResults": [result(name, {NOW: 5})]})
        found = LedgerMetrics("chat", SCOPE, client).counted(entry, NOW, NOW + 60)
    assert found == {NOW: Counts(requests=5, shed=5)}


def test_a_throttled_read_may_be_tried_again(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("get_metric_data", "Throttling", http_status_code=400)
        with pytest.raises(ThrottledError, match="GetMetricData"):
            LedgerMetrics("chat", SCOPE, client).counted(ENTRY, NOW, NOW + 600)
