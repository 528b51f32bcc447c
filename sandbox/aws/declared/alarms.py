"""CloudWatch: alarms and dashboards. What evaluates an alarm is `sandbox.aws.alarms`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.aws.resources import Created, ResourceType, pick

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties

# Those of PutMetricAlarm. What the sandbox could not evaluate (anomaly detection, math but for FILL, actions but for
# topics) is refused there.
_ALARM: Final = (
    "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName",
    "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods",
    "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "Metrics", "Tags",
)  # fmt: skip
_METRICS: Final = (
    "Id", "Expression", "Label", "ReturnData", "MetricStat.Metric.Namespace", "MetricStat.Metric.MetricName",
    "MetricStat.Metric.Dimensions.Name", "MetricStat.Metric.Dimensions.Value", "MetricStat.Period", "MetricStat.Stat",
    "MetricStat.Unit",
)  # fmt: skip


def _alarm(context: Context, properties: Properties) -> Created:
    context.call("cloudwatch", "put_metric_alarm", AlarmName=context.name, **pick(properties, *_ALARM))
    return Created(context.name, {"Arn": f"arn:aws:cloudwatch:{context.region}:{context.account}:alarm:{context.name}"})


def _dashboard(context: Context, properties: Properties) -> Created:
    context.call(
        "cloudwatch", "put_dashboard", DashboardName=context.name, **pick(properties, "DashboardBody")
    )  # fmt: skip
    return Created(context.name)


TYPES: Final = (
    ResourceType(
        "AWS::CloudWatch::Alarm",
        consumes=("AlarmName", *(name for name in _ALARM if name not in {"Dimensions", "Metrics", "Tags"}),
                  "Dimensions.Name", "Dimensions.Value", *(f"Metrics.{name}" for name in _METRICS), "Tags.*"),
        inert={"EvaluateLowSampleCountPercentile": "a percentile of few samples is evaluated here, as by default"},
        create=_alarm, update=lambda context, _, properties: _alarm(context, properties), name_property="AlarmName",
        attributes=("Arn",),
        delete=lambda context, created: context.call("cloudwatch", "delete_alarms", AlarmNames=[created.physical_id]),
    ),
    ResourceType(
        "AWS::CloudWatch::Dashboard", consumes=("DashboardName", "DashboardBody"), create=_dashboard,
        update=lambda context, _, properties: _dashboard(context, properties), name_property="DashboardName",
    ),
)  # fmt: skip
