"""CloudWatch's API for metrics, answered from `sandbox.aws.metrics`: PutMetricData, GetMetricData,
GetMetricStatistics, ListMetrics.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.cloudwatch.exceptions import CloudWatchException, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatumBase, Statistics

from sandbox.aws.metrics import Datum, Metric, Metrics, Summary, UnknownStatisticError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_REPLACED: Final = ("put_metric_data", "get_metric_data", "get_metric_statistics", "get_all_metrics")
_MINUTE: Final = 60


class InternalServiceFaultError(CloudWatchException):
    """CloudWatch cannot answer; the code is the one of its API reference."""

    code = "InternalServiceError"
    message = "Request processing has failed because of an unknown error, exception or failure."


def install(metrics: Metrics) -> Callable[[], None]:
    """Have moto's CloudWatch keep and find its metrics here. The result takes it back."""
    originals = {name: getattr(CloudWatchBackend, name) for name in _REPLACED}
    answers = _Answers(metrics)
    for name in _REPLACED:
        setattr(CloudWatchBackend, name, _method(getattr(answers, name)))

    def take_back() -> None:
        for name, original in originals.items():
            setattr(CloudWatchBackend, name, original)

    return take_back


def _method(answer: Callable[..., Any]) -> Callable[..., Any]:
    def method(backend: Any, *given: Any, **named: Any) -> Any:
        return answer(backend, *given, **named)

    return method


class _Answers:
    """The methods of moto's backend, by their names and parameters there."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def put_metric_data(self, backend: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        for number, given in enumerate(metric_data, 1):
            backend._validate_parameters_put_metric_data(given, number)
        now = self._metrics.clock()
        self._metrics.put(backend.region_name, [_datum(namespace, given, now) for given in metric_data])

    def get_metric_data(
        self,
        backend: Any,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampDescending",
    ) -> list[dict[str, Any]]:
        found = [_result(self._metrics, backend.region_name, query, start_time, end_time) for query in queries]
        if scan_by != "TimestampAscending":
            for result in found:
                result["values"].reverse()
                result["timestamps"].reverse()
        return [result for result, query in zip(found, queries, strict=True) if query.get("ReturnData", True)]

    def get_metric_statistics(
        self,
        backend: Any,
        namespace: str,
        metric_name: str,
        start_time: datetime,
        end_time: datetime,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
    ) -> list[Any]:
        metric = _metric(namespace, metric_name, dimensions)
        found = _found(self._metrics, backend.region_name, metric, start_time, end_time, int(period), unit)
        return [_statistics(metric, begin, summary, stats, unit) for begin, summary in found.items()]

    def get_all_metrics(self, backend: Any) -> list[Any]:
        loss = self._metrics.loss(backend.region_name)
        if loss == "fails":
            raise InternalServiceFaultError
        return [
            MetricDatumBase(metric.namespace, metric.name, _dimensions(metric), None)
            for metric in (self._metrics.metrics(backend.region_name) if loss is None else ())
        ]


def _datum(namespace: str, given: Mapping[str, Any], now: float) -> Datum:
    return Datum(
        metric=_metric(namespace, given["MetricName"], given.get("Dimensions", ())),
        at=_seconds(given["Timestamp"]) if given.get("Timestamp") else now,
        summary=_summary(given),
        unit=str(given.get("Unit") or "None"),
        resolution=int(given.get("StorageResolution") or _MINUTE),
    )


def _summary(given: Mapping[str, Any]) -> Summary:
    if values := given.get("Values"):
        counts = given.get("Counts") or [1.0] * len(values)
        return Summary.of({float(value): float(count) for value, count in zip(values, counts, strict=True)})
    if known := given.get("StatisticValues"):
        return Summary(
            float(known["SampleCount"]), float(known["Sum"]), float(known["Minimum"]), float(known["Maximum"]), {}
        )
    return Summary.of({float(given["Value"]): 1.0})


def _result(metrics: Metrics, region: str, query: Mapping[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    if "MetricStat" not in query:
        raise ValidationError(f"The sandbox evaluates no expression in GetMetricData: {query.get('Expression')}")
    asked = query["MetricStat"]
    name, statistic = asked["Metric"]["MetricName"], asked["Stat"]
    metric = _metric(asked["Metric"]["Namespace"], name, asked["Metric"].get("Dimensions", ()))
    found = _found(metrics, region, metric, start, end, int(asked["Period"]), asked.get("Unit"))
    values = {begin: value for begin, one in found.items() if (value := _value(one, statistic)) is not None}
    return {
        "id": query["Id"],
        "label": query.get("Label") or name,
        "values": list(values.values()),
        "timestamps": [datetime.fromtimestamp(begin, UTC) for begin in values],
        "status_code": "Complete",
    }


def _found(
    metrics: Metrics, region: str, metric: Metric, start: datetime, end: datetime, period: int, unit: str | None
) -> dict[float, Summary]:
    """Of the newest 15 days a start is rounded down to the minute, or to the period when that is shorter (API)."""
    if start >= end:
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    loss = metrics.loss(region)
    if loss == "fails":
        raise InternalServiceFaultError
    step = min(period, _MINUTE)
    begin = _seconds(start) // step * step
    return metrics.summaries(region, metric, begin, _seconds(end), period, unit) if loss is None else {}


def _value(summary: Summary, statistic: str) -> float | None:
    try:
        return summary.statistic(statistic)
    except UnknownStatisticError as error:
        raise ValidationError(str(error)) from error


def _statistics(metric: Metric, begin: float, summary: Summary, names: list[str], unit: str | None) -> Any:
    found = Statistics(names, datetime.fromtimestamp(begin, UTC), unit or "None")
    found.metric_data = [
        MetricAggregatedDatum(
            metric.namespace,
            metric.name,
            summary.minimum,
            summary.maximum,
            summary.count,
            summary.total,
            _dimensions(metric),
            found.timestamp,
        )
    ]
    return found


def _metric(namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> Metric:
    return Metric.of(namespace, name, {each["Name"]: each["Value"] for each in dimensions})


def _dimensions(metric: Metric) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]


def _seconds(moment: datetime) -> float:
    """moto's times are UTC, with or without saying so."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
