"""Counters on CloudWatch: what the load balancer and the watch's canaries counted, by the minute.

"CloudWatch metrics for your Application Load Balancer" in the ELB user guide: RequestCount holds the requests for which
a target was chosen, answered with an error of the load balancer's own (502, 504) or not; a 503 is one for which none
was. HTTPCode_ELB_5XX_Count is of the load balancer as a whole: on one that other services share, theirs count too. A
count of nothing is not published, so a missing datapoint is zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.emf import NAMESPACE
from standfast.fleet import SHED
from standfast.ledger import MINUTE, NAMES, Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from standfast.fleet import Entry

_OURS: Final[Mapping[str, str]] = {
    "canaries": "Canaries",
    "canaries_failed": "CanariesFailed",
    "idle": "IdleCanaries",
    "idle_failed": "IdleCanariesFailed",
}


class LedgerMetrics:
    """One GetMetricData call for a Region, with as many pages as it takes."""

    def __init__(self, fleet: str, region: str, client: Any = None) -> None:
        self._dimensions = {"Fleet": fleet, "Region": region}
        self._client = client or boto3.client("cloudwatch", config=config(attempts=3))

    def counted(self, entry: Entry, begin: float, end: float) -> Mapping[float, Counts]:
        queries = list(self._queries(entry))
        into = {query["Id"]: names for query, names in queries}
        sums: dict[float, dict[str, float]] = {}
        with translated("GetMetricData"):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=[query for query, _ in queries],
                StartTime=datetime.fromtimestamp(begin, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                        minute = sums.setdefault(at.timestamp(), dict.fromkeys(NAMES, 0.0))
                        for name in into[result["Id"]]:
                            minute[name] += value
        return {
            at: Counts(**{name: round(value) for name, value in minute.items()}) for at, minute in sorted(sums.items())
        }

    def _queries(self, entry: Entry) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
        """Each query, with the counts that its values are part of."""
        balancer = {"LoadBalancer": "/".join(entry.listener_rule_arn.split("/")[1:4])}
        for number, (name, arn) in enumerate(sorted(entry.weighted_groups().items())):
            group = {**balancer, "TargetGroup": arn.rsplit(":", 1)[1]}
            shed = ("shed",) if name == SHED else ()
            yield _query(f"g{number}requests", "AWS/ApplicationELB", "RequestCount", group), ("requests", *shed)
            yield _query(f"g{number}failed", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", group), ("failed",)
        yield _query("entry5xx", "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer), ("failed",)
        yield _query("entry503", "AWS/ApplicationELB", "HTTPCode_ELB_503_Count", balancer), ("requests",)
        for count, metric in _OURS.items():
            yield _query(f"our_{count}", NAMESPACE, metric, self._dimensions), (count,)


def _query(name: str, namespace: str, metric: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    described = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": described},
            "Period": MINUTE,
            "Stat": "Sum",
        },
    }
