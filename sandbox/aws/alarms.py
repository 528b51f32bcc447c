"""CloudWatch's alarms: evaluated from metrics, and what follows when one changes its state.

moto keeps alarms and never evaluates them. Here each is evaluated at its interval by the rules of
`sandbox.aws.alarm_rules`. A change updates moto's alarm, publishes to the SNS topics of the new state, and puts a
"CloudWatch Alarm State Change" on the default bus, whose rules reach their targets as for any event.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID

from sandbox.aws.alarm_rules import Outcome, UnsupportedAlarmError, judge, rule_of
from sandbox.aws.sessions import new_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws.alarm_rules import AlarmRule, State, Watched
    from sandbox.aws.metrics import Metrics

# How long after the end of a period it is judged. AWS does not say. Of a minute's period: 40 s in both example events
# of the guide, "Alarm events and EventBridge". Of a shorter one: an assumption, the time that a line of a function's
# log takes to become a metric.
SETTLE_SECONDS: Final = 40.0
HIGH_RESOLUTION_SETTLE_SECONDS: Final = 5.0
_MINUTE: Final = 60

logger = logging.getLogger("sandbox.alarms")


@dataclass(frozen=True, slots=True)
class AlarmState:
    """A state and why, since when (seconds of the epoch)."""

    value: State
    reason: str
    reason_data: str
    at: float


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of an alarm's state."""

    region: str
    alarm: str
    before: AlarmState
    after: AlarmState


class Alarms:
    """All alarms of all Regions. `evaluate` is called by one thread, `transitions` by any.

    Those of a Region of which `is_lost` says so are not judged.
    """

    def __init__(self, metrics: Metrics, is_lost: Callable[[str], bool] = lambda _: False) -> None:
        self._metrics = metrics
        self._is_lost = is_lost
        self._judged: dict[tuple[str, str], float] = {}  # (Region, alarm) -> end of the newest period that was judged
        self._transitions: list[Transition] = []
        self._session: Any = new_session()
        self._clients: dict[tuple[str, str], Any] = {}

    def transitions(self) -> tuple[Transition, ...]:
        """All changes of state so far."""
        return tuple(self._transitions)

    def evaluate(self, now: float) -> None:
        """Judge every alarm that is due. An alarm that fails is logged; the others are judged."""
        for region, backend in tuple(cloudwatch_backends[DEFAULT_ACCOUNT_ID].items()):
            for alarm in () if self._is_lost(region) else tuple(backend.alarms.values()):
                try:
                    self._evaluate(region, alarm, now)
                except (BotoCoreError, ClientError, ValueError):
                    logger.exception("the alarm %s in %s cannot be evaluated", alarm.name, region)

    def _evaluate(self, region: str, alarm: Any, now: float) -> None:
        rule = rule_of(alarm)
        settle = HIGH_RESOLUTION_SETTLE_SECONDS if rule.period < _MINUTE else SETTLE_SECONDS
        end = (now - settle) // rule.interval * rule.interval
        if end <= self._judged.get((region, alarm.name), 0.0):
            return
        self._judged[region, alarm.name] = end
        outcome = judge(rule, self._datapoints(region, rule, end))
        if outcome.state in (None, alarm.state_value):
            return
        before = _state(alarm)
        start = end - rule.datapoints * rule.period
        alarm.update_state(outcome.reason, _reason_data(rule, outcome, start, now), outcome.state)
        alarm.state_updated_timestamp = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)  # moto's have none
        transition = Transition(region, alarm.name, before, _state(alarm))
        self._transitions.append(transition)
        self._tell(transition, alarm, rule)

    def _datapoints(self, region: str, rule: AlarmRule, end: float) -> list[float | None]:
        """The whole evaluation range. FILL stands in for missing datapoints of a metric that there ever was."""
        start = end - rule.datapoints * rule.period
        series = {name: self._series(region, each, start, end, rule) for name, each in rule.watched.items()}
        if rule.expression is None:
            (values,) = series.values()
            return values
        known = self._metrics.metrics(region)
        if any(rule.watched[name].metric not in known for name in rule.expression.filled):
            return [None] * rule.datapoints
        return [
            rule.expression.value({name: values[number] for name, values in series.items()})
            for number in range(rule.datapoints)
        ]

    def _series(self, region: str, watched: Watched, start: float, end: float, rule: AlarmRule) -> list[float | None]:
        found = self._metrics.summaries(region, watched.metric, start, end, rule.period, watched.unit)
        begins = (start + number * rule.period for number in range(rule.datapoints))
        return [found[begin].statistic(watched.statistic) if begin in found else None for begin in begins]

    def _tell(self, transition: Transition, alarm: Any, rule: AlarmRule) -> None:
        region, after = transition.region, transition.after
        entry = {
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Detail": json.dumps(_event_detail(transition, alarm, rule)),
            "Resources": [alarm.alarm_arn],
        }
        self._client("events", region).put_events(Entries=[entry])
        topics = {
            "ALARM": alarm.alarm_actions,
            "OK": alarm.ok_actions,
            "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        }
        for topic in topics[after.value] or () if alarm.actions_enabled else ():
            try:
                self._client("sns", region).publish(
                    TopicArn=topic,
                    Subject=f'{after.value}: "{alarm.name}" in {region}'[:100],
                    Message=json.dumps(_message(transition, alarm, rule)),
                )
            except (BotoCoreError, ClientError):  # AWS writes it to the alarm's history, and goes on
                logger.exception("the alarm %s cannot publish to %s", alarm.name, topic)

    def _client(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            self._clients[service, region] = self._session.client(service, region_name=region)
        return self._clients[service, region]


def install() -> Callable[[], None]:
    """A new alarm has INSUFFICIENT_DATA; one that is put again keeps its state (API reference); moto says OK each time.

    An alarm that could not be evaluated is refused. The result takes it back.
    """
    original = CloudWatchBackend.put_metric_alarm

    def put_metric_alarm(self: Any, **given: Any) -> Any:
        known = self.alarms.get(given["name"])
        alarm = original(self, **given)
        try:
            rule_of(alarm)
        except UnsupportedAlarmError as error:
            del self.alarms[alarm.name]
            raise ValidationError(str(error)) from error
        if known is None:
            alarm.state_value = "INSUFFICIENT_DATA"
        else:
            for field in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
                setattr(alarm, field, getattr(known, field))
        return alarm

    CloudWatchBackend.put_metric_alarm = put_metric_alarm

    def take_back() -> None:
        CloudWatchBackend.put_metric_alarm = original

    return take_back


def _state(alarm: Any) -> AlarmState:
    at = alarm.state_updated_timestamp.replace(tzinfo=UTC).timestamp()
    return AlarmState(alarm.state_value, alarm.state_reason, alarm.state_reason_data, at)


def _reason_data(rule: AlarmRule, outcome: Outcome, start: float, now: float) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _moment(now),
            "startDate": _moment(start),
            **({} if rule.expression else {"statistic": _first(rule).statistic}),
            "period": rule.period,
            "recentDatapoints": outcome.recent,
            "threshold": rule.threshold,
        }
    )


def _event_detail(transition: Transition, alarm: Any, rule: AlarmRule) -> dict[str, Any]:
    """The fields of "Alarm events and EventBridge" in the guide."""
    return {
        "alarmName": alarm.name,
        "configuration": {"description": alarm.description or "", "metrics": _event_metrics(rule)},
        "previousState": _event_state(transition.before),
        "state": _event_state(transition.after),
    }


def _event_metrics(rule: AlarmRule) -> list[dict[str, Any]]:
    watched = [
        {
            "id": name,
            "metricStat": {
                "metric": {
                    "dimensions": dict(each.metric.dimensions),
                    "name": each.metric.name,
                    "namespace": each.metric.namespace,
                },
                "period": rule.period,
                "stat": each.statistic,
            },
            "returnData": rule.expression is None,
        }
        for name, each in rule.watched.items()
    ]
    if rule.expression is None:
        return watched
    return [{"id": "e1", "expression": rule.expression.text, "returnData": True}, *watched]


def _first(rule: AlarmRule) -> Watched:
    return next(iter(rule.watched.values()))


def _event_state(state: AlarmState) -> dict[str, str]:
    return {
        "reason": state.reason,
        "reasonData": state.reason_data,
        "timestamp": _moment(state.at),
        "value": state.value,
    }


def _message(transition: Transition, alarm: Any, rule: AlarmRule) -> dict[str, Any]:
    """What CloudWatch publishes to SNS. AWS writes the Region's name in words."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": DEFAULT_ACCOUNT_ID,
        "NewStateValue": transition.after.value,
        "NewStateReason": transition.after.reason,
        "StateChangeTime": _moment(transition.after.at),
        "Region": transition.region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": transition.before.value,
        "OKActions": alarm.ok_actions or [],
        "AlarmActions": alarm.alarm_actions or [],
        "InsufficientDataActions": alarm.insufficient_data_actions or [],
        "Trigger": {
            **_message_metric(rule),
            "Period": rule.period,
            "EvaluationPeriods": rule.evaluation_periods,
            "DatapointsToAlarm": rule.datapoints_to_alarm,
            "ComparisonOperator": rule.comparison,
            "Threshold": rule.threshold,
            "TreatMissingData": rule.missing,
        },
    }


def _message_metric(rule: AlarmRule) -> dict[str, Any]:
    """SNS's Trigger of an alarm on math holds its queries, as the event does, and no statistic."""
    if rule.expression is not None:
        return {"Metrics": _event_metrics(rule)}
    watched = _first(rule)
    return {
        "MetricName": watched.metric.name,
        "Namespace": watched.metric.namespace,
        "StatisticType": "Statistic",
        "Statistic": watched.statistic.upper(),
        "Unit": watched.unit,
        "Dimensions": [{"name": name, "value": value} for name, value in watched.metric.dimensions],
    }


def _moment(seconds: float) -> str:
    """`2019-10-02T17:04:40.989+0000`, as in CloudWatch's events."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
