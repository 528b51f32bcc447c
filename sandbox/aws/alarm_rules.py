"""How a CloudWatch alarm is judged: M of N datapoints, and what is done where some are missing. Pure: no clock.

Source: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" in AWS's user guide. Its surprise:
CloudWatch looks further back than the evaluation periods, and a datapoint there counts before any missing one does. So
an alarm on silence that treats missing data as breaching waits until the whole evaluation range is empty; one on
`FILL(m1, 0)` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sandbox.aws.alarm_math import Expression, UnsupportedMathError
from sandbox.aws.metrics import FINE_SECONDS, KEPT_SECONDS, Metric, Summary, UnknownStatisticError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
# How many datapoints more than the evaluation periods are looked at. The guide does not say; its examples have five for
# three.
EXTRA_DATAPOINTS: Final = 2
_MINUTE: Final = 60  # a shorter period makes a high-resolution alarm
_SHORT_PERIODS: Final = (10, 20, 30)  # PutMetricAlarm, Period
_TREATMENTS: Final = ("breaching", "notBreaching", "ignore", "missing")
# Operator -> what breaches, and the words of the reason.
_COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanThreshold": (lambda value, threshold: value > threshold, "greater than"),
    "GreaterThanOrEqualToThreshold": (lambda value, threshold: value >= threshold, "greater than or equal to"),
    "LessThanThreshold": (lambda value, threshold: value < threshold, "less than"),
    "LessThanOrEqualToThreshold": (lambda value, threshold: value <= threshold, "less than or equal to"),
}


class UnsupportedAlarmError(ValueError):
    """An alarm that the sandbox could not evaluate: it refuses it where AWS would take it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One metric that an alarm reads."""

    metric: Metric
    statistic: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """What an alarm watches, by id, and when it alarms. `expression` None: it watches its one metric as it is."""

    watched: Mapping[str, Watched]
    period: int
    expression: Expression | None
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    missing: str

    @property
    def interval(self) -> int:
        """Seconds between two evaluations: 10 for a period under a minute, else 60 (guide, alarm evaluation)."""
        return 10 if self.period < _MINUTE else _MINUTE

    @property
    def datapoints(self) -> int:
        """How many are looked at."""
        return self.evaluation_periods + EXTRA_DATAPOINTS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to. `state` None: as it was. `recent`: the datapoints that decided."""

    state: State | None
    reason: str
    recent: tuple[float, ...] = ()


def rule_of(alarm: Any) -> AlarmRule:
    """From moto's alarm. Raises UnsupportedAlarmError."""
    comparison, missing = str(alarm.comparison_operator), alarm.treat_missing_data or "missing"
    if alarm.rule:
        raise UnsupportedAlarmError(f"{alarm.name}: the sandbox knows no composite alarms")
    if comparison not in _COMPARISONS or missing not in _TREATMENTS or alarm.threshold is None:
        raise UnsupportedAlarmError(f"{alarm.name}: the sandbox does not know {comparison} with missing data {missing}")
    if not all(action.startswith("arn:aws:sns:") for action in actions(alarm)):
        raise UnsupportedAlarmError(f"{alarm.name}: the sandbox knows no actions but SNS topics: {actions(alarm)}")
    watched, period, expression = _several(alarm) if alarm.metric_data_queries else _one_metric(alarm)
    try:
        for each in watched.values():
            Summary.of({0.0: 1.0}).statistic(each.statistic)
    except UnknownStatisticError as error:
        raise UnsupportedAlarmError(f"{alarm.name}: {error}") from error
    periods = int(alarm.evaluation_periods)
    rule = AlarmRule(
        watched=watched,
        period=period,
        expression=expression,
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or periods),
        threshold=float(alarm.threshold),
        comparison=comparison,
        missing=missing,
    )
    if rule.period not in _SHORT_PERIODS and rule.period % _MINUTE:
        raise UnsupportedAlarmError(f"{alarm.name}: a period is 10, 20, 30 or a multiple of 60 s, not {rule.period}")
    kept = FINE_SECONDS if rule.period < _MINUTE else KEPT_SECONDS
    if rule.datapoints * rule.period > kept:
        raise UnsupportedAlarmError(f"{alarm.name}: the sandbox keeps metrics for {kept:g} s only")
    return rule


def actions(alarm: Any) -> list[str]:
    """All ARNs that an alarm acts on, in whichever state."""
    return [*(alarm.alarm_actions or ()), *(alarm.ok_actions or ()), *(alarm.insufficient_data_actions or ())]


def _one_metric(alarm: Any) -> tuple[dict[str, Watched], int, None]:
    metric = Metric.of(alarm.namespace, alarm.metric_name, {each.name: each.value for each in alarm.dimensions})
    return (
        {"m1": Watched(metric, str(alarm.statistic or alarm.extended_statistic), alarm.unit)},
        int(alarm.period),
        None,
    )


def _several(alarm: Any) -> tuple[dict[str, Watched], int, Expression | None]:
    """The one query that is returned: a metric, or math over metrics of one period."""
    queries = {query.id: query for query in alarm.metric_data_queries}
    returned = [query for query in queries.values() if query.return_data is not False]
    said = [query.expression for query in queries.values()]
    if len(returned) != 1:
        raise UnsupportedAlarmError(f"{alarm.name}: an alarm watches one result, not {len(returned)}: {said}")
    try:
        expression = Expression(returned[0].expression) if returned[0].expression else None
    except UnsupportedMathError as error:
        raise UnsupportedAlarmError(f"{alarm.name}: {error} in {said}") from error
    names = sorted(expression.names) if expression else [returned[0].id]
    stats = {name: queries[name].metric_stat for name in names if name in queries and queries[name].metric_stat}
    periods = {int(stat.period) for stat in stats.values()}
    if len(stats) < len(names) or len(periods) != 1:
        raise UnsupportedAlarmError(f"{alarm.name}: math over metrics of one period is what the sandbox knows: {said}")
    watched = {
        name: Watched(
            Metric.of(
                stat.metric.namespace,
                stat.metric.metric_name,
                {each.name: each.value for each in stat.metric.dimensions},
            ),
            str(stat.stat),
            stat.unit,
        )
        for name, stat in stats.items()
    }
    return watched, periods.pop(), expression


def judge(rule: AlarmRule, datapoints: Sequence[float | None]) -> Outcome:
    """Judges the datapoints of the evaluation range, the oldest first; None is missing."""
    real = [value for value in datapoints if value is not None][-rule.evaluation_periods :]
    breaches, _ = _COMPARISONS[rule.comparison]
    breaching = sum(breaches(value, rule.threshold) for value in real)
    filled = rule.evaluation_periods - len(real)
    if filled and rule.missing in ("ignore", "missing"):
        return _without_enough(rule, datapoints, real, breaching)
    if filled and rule.missing == "breaching":
        breaching += filled
    return _crossed(rule, real, filled, alarms=breaching >= rule.datapoints_to_alarm)


def _without_enough(rule: AlarmRule, datapoints: Sequence[float | None], real: list[float], breaching: int) -> Outcome:
    """Too few datapoints, and nothing to stand for the missing ones."""
    missing = rule.evaluation_periods - len(real)
    if breaching >= rule.datapoints_to_alarm or breaching < len(real):
        return _crossed(rule, real, missing, alarms=breaching >= rule.datapoints_to_alarm)
    if rule.missing == "ignore":
        return Outcome(None, "")
    if not real:
        return Outcome(
            "INSUFFICIENT_DATA", f"Insufficient Data: {_count(missing, 'datapoint')} {_were(missing)} unknown."
        )
    oldest = next(
        age for age, value in zip(range(len(datapoints), 0, -1), datapoints, strict=True) if value is not None
    )
    if oldest >= rule.datapoints_to_alarm:  # the guide: "avoiding premature transitions to alarm state"
        return _crossed(rule, real, missing, alarms=True)
    return Outcome(None, "")  # the guide: "does not go immediately into ALARM"; it names no other state


def _crossed(rule: AlarmRule, real: list[float], filled: int, *, alarms: bool) -> Outcome:
    state: State = "ALARM" if alarms else "OK"
    _, words = _COMPARISONS[rule.comparison]
    if not real:
        said = (
            f"Threshold Crossed: no datapoints were received for {_count(filled, 'period')} and "
            f"{_count(filled, 'missing datapoint')} {_were(filled)} treated as "
            f"[{rule.missing[0].upper()}{rule.missing[1:]}]."
        )
        return Outcome(state, said)
    breaches, _ = _COMPARISONS[rule.comparison]
    matching = [value for value in real if breaches(value, rule.threshold) is alarms]
    enough = rule.datapoints_to_alarm if alarms else rule.evaluation_periods - rule.datapoints_to_alarm + 1
    change = "OK -> ALARM" if alarms else "ALARM -> OK"
    said = (
        f"Threshold Crossed: {len(matching)} out of the last {_count(len(real), 'datapoint')} {list(real)} "
        f"{_were(len(matching))} {'' if alarms else 'not '}{words} the threshold ({rule.threshold}) "
        f"(minimum {_count(enough, 'datapoint')} for {change} transition)."
    )
    return Outcome(state, said, tuple(real))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
