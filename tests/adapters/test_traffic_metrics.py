"""What the load balancer counted, read from CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from standfast.aws.calls import config
from standfast.aws.traffic_metrics import EntryMetrics
from standfast.checks import Traffic
from standfast.errors import ThrottledError
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY, fleet

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


def result(name: str, *values: float) -> dict[str, Any]:
    return {"Id": name, "Label": name, "Timestamps": [], "Values": list(values), "StatusCode": "Complete"}


def test_requests_and_failures_are_summed_over_whole_minutes(client: Any) -> None:
    end = datetime.fromtimestamp(NOW - NOW % 60, UTC)
    expected: dict[str, Any] = {
        "MetricDataQueries": ANY,
        "StartTime": datetime.fromtimestamp(NOW - NOW % 60 - 180, UTC),
        "EndTime": end,
    }
    pages: list[dict[str, Any]] = [
        {"MetricDataResults": [result("c0m0", 100, 120), result("c0m1", 3)], "NextToken": "more"},
        {"MetricDataResults": [result("c0m0", 80), result("c0m2", 2), result("c1m0")]},
    ]
    with Stubber(client) as stub:
        stub.add_response("get_metric_data", pages[0], expected)
        stub.add_response("get_metric_data", pages[1], {**expected, "NextToken": "more"})
        found = EntryMetrics(client).counted(ENTRY, NOW + 17, 180)
    assert found == {ACTIVE: Traffic(300, 5), STANDBY: Traffic(0, 0)}


def test_the_dimensions_are_those_that_the_load_balancer_publishes(client: Any) -> None:
    asked: list[dict[str, Any]] = []

    def remember(params: dict[str, Any], **_: object) -> None:
        asked.append(params)

    client.meta.events.register("provide-client-params.cloudwatch.GetMetricData", remember)
    with Stubber(client) as stub:
        stub.add_response("get_metric_data", {"MetricDataResults": []})
        EntryMetrics(client).counted(ENTRY, NOW, 180)
    queries = asked[0]["MetricDataQueries"]
    assert len(queries) == 6
    dimensions = {each["Name"]: each["Value"] for each in queries[0]["MetricStat"]["Metric"]["Dimensions"]}
    assert dimensions == {
        "LoadBalancer": "app/entry/50dc6c495c0c9188",
        "TargetGroup": f"targetgroup/{ACTIVE}/73e2d6bc24d8a067",
    }


def test_a_throttled_read_may_be_tried_again(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("get_metric_data", "Throttling", http_status_code=400)
        with pytest.raises(ThrottledError, match="GetMetricData"):
            EntryMetrics(client).counted(ENTRY, NOW, 180)
