"""TrafficMetrics on CloudWatch: what the load balancer counted.

Metric names and dimensions: "CloudWatch metrics for your Application Load Balancer" in the ELB user guide. A count of
nothing is not published, so a missing datapoint is zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config, translated
from standfast.checks import Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.fleet import Entry

MINUTE = 60
_REQUESTS = "RequestCount"
_FAILED = ("HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount")


class EntryMetrics:
    """One GetMetricData call for all clusters of a Region."""

    def __init__(self, client: Any = None) -> None:
        self._client = client or boto3.client("cloudwatch", config=config(attempts=2))

    def counted(self, entry: Entry, now: float, seconds: float) -> Mapping[str, Traffic]:
        end = now - now % MINUTE  # the minute that is not over yet is still being counted
        queries = [
            _query(f"c{number}m{position}", name, entry.listener_rule_arn, group)
            for number, group in enumerate(entry.target_groups.values())
            for position, name in enumerate((_REQUESTS, *_FAILED))
        ]
        with translated("GetMetricData"):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(end - seconds, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
            )
            sums: dict[str, float] = {}
            for page in pages:
                for result in page["MetricDataResults"]:
                    sums[result["Id"]] = sums.get(result["Id"], 0.0) + sum(result["Values"])
        return {
            cluster_id: Traffic(
                requests=sums.get(f"c{number}m0", 0.0),
                failed=sum(sums.get(f"c{number}m{position}", 0.0) for position in range(1, 1 + len(_FAILED))),
            )
            for number, cluster_id in enumerate(entry.target_groups)
        }


def _query(name: str, metric: str, rule_arn: str, target_group_arn: str) -> dict[str, Any]:
    dimensions = {
        "LoadBalancer": "/".join(rule_arn.split("/")[1:4]),  # listener-rule/app/<name>/<id>/<listener>/<rule>
        "TargetGroup": target_group_arn.rsplit(":", 1)[1],
    }
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": MINUTE,
            "Stat": "Sum",
        },
    }
