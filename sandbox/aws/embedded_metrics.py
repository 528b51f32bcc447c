"""Embedded Metric Format: metrics in a line of a function's log.

The format is AWS's "Specification: Embedded metric format"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
CloudWatch Logs drops a line that does not follow it, in silence; here the line is refused with the reason.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.aws.metrics import Datum, Metric, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK: Final = '"_aws"'
_MOST_VALUES: Final = 100
_LONGEST_DIMENSION: Final = 1024
# PutMetricData's limits; a metric filter and EMF have the same.
_OLDEST_SECONDS: Final = 14 * 86_400
_NEWEST_SECONDS: Final = 2 * 3_600

# CloudWatch API reference, MetricDatum.
_Units = Literal[
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
    "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
    "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
    "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
]  # fmt: skip


class MalformedMetricError(ValueError):
    """A line that means to hold metrics and does not follow the format. The message says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Definition(_Strict):
    Name: Annotated[str, Field(min_length=1, max_length=1024)]
    Unit: _Units = "None"
    StorageResolution: Literal[1, 60] = 60


class _Directive(_Strict):
    Namespace: Annotated[str, Field(min_length=1, max_length=1024)]
    Dimensions: list[Annotated[list[str], Field(max_length=30)]]
    Metrics: Annotated[list[_Definition], Field(max_length=100)]


class _Metadata(_Strict):
    Timestamp: int | float
    CloudWatchMetrics: list[_Directive]


def parse(line: str, now: float) -> tuple[Datum, ...]:
    """The metrics in a line of a log; none in one that does not mean to hold any. Raises MalformedMetricError.

    A line without `"_aws"` costs nothing more than a search for it.
    """
    if _MARK not in line:
        return ()
    try:
        document = json.loads(line)
    except ValueError as error:
        raise MalformedMetricError(f"it is no JSON: {error}") from error
    about = document.get("_aws") if isinstance(document, dict) else None
    if not isinstance(about, dict) or "CloudWatchMetrics" not in about:
        return ()
    try:
        metadata = _Metadata.model_validate(about)
    except ValidationError as error:
        raise MalformedMetricError(str(error)) from error
    at = metadata.Timestamp / 1000
    if not now - _OLDEST_SECONDS <= at <= now + _NEWEST_SECONDS:
        raise MalformedMetricError(f"its Timestamp {metadata.Timestamp} is not within the time that is taken (ms)")
    return tuple(
        Datum(
            Metric.of(directive.Namespace, definition.Name, dimensions),
            at,
            Summary.of(_values(document, definition.Name)),
            definition.Unit,
            definition.StorageResolution,
        )
        for directive in metadata.CloudWatchMetrics
        for dimensions in [{name: _dimension(document, name) for name in names} for names in directive.Dimensions]
        for definition in directive.Metrics
    )


def _values(document: Mapping[str, Any], name: str) -> dict[float, float]:
    """A number, or at most 100 of them, at the root."""
    given = document.get(name)
    numbers = given if isinstance(given, list) else [given]
    values = [float(each) for each in numbers if isinstance(each, int | float) and not isinstance(each, bool)]
    if not 1 <= len(numbers) <= _MOST_VALUES or len(values) < len(numbers) or not all(map(math.isfinite, values)):
        raise MalformedMetricError(f"its member {name} is no number and no list of up to 100 numbers: {given}")
    return dict(Counter(values))


def _dimension(document: Mapping[str, Any], name: str) -> str:
    given = document.get(name)
    if not isinstance(given, str) or not 1 <= len(given) <= _LONGEST_DIMENSION:
        raise MalformedMetricError(f"its dimension {name} is no text of 1 to 1024 characters: {given}")
    return given
