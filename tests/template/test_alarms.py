"""The alarms on the error budget: as the workbook has them, within what CloudWatch evaluates, on what is published."""

from __future__ import annotations

import pytest

from sandbox.aws.alarm_math import Expression
from standfast import ledger
from tests.template import documents
from tests.template.documents import Document, target

ALARMS = documents.resources("AWS::CloudWatch::Alarm")
BURNS = {
    str(each["AlarmName"]["Fn::Sub"]).rpartition("-")[2]: each for name, each in ALARMS.items() if "BurnAlarm" in name
}
HOUR, DAY = 3600, 86_400


def watched(alarm: Document) -> dict[str, Document]:
    """Id -> the metric with its period."""
    return {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}


@pytest.mark.parametrize("name", ledger.ALERTS)
def test_an_alarm_goes_off_when_both_windows_burn_at_the_rate(name: str) -> None:
    alarm, alert = BURNS[name], ledger.ALERTS[name]
    assert alarm["Threshold"] == alert.rate
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    seconds = {each: ledger.WINDOWS[found["Metric"]["MetricName"]] for each, found in watched(alarm).items()}
    assert seconds == {"long": alert.long_seconds, "short": alert.short_seconds}
    (shown,) = [each for each in alarm["Metrics"] if each.get("ReturnData") is not False]
    assert Expression(shown["Expression"]).value({"long": 5.0, "short": 3.0}) == 3.0
    assert Expression(shown["Expression"]).value({"long": 2.0, "short": 3.0}) == 2.0


def test_every_alert_has_its_alarm() -> None:
    assert set(BURNS) == set(ledger.ALERTS)


@pytest.mark.parametrize("name", ledger.ALERTS)
def test_an_alarm_sees_what_the_ledger_publishes_at_least_once_in_each_period(name: str) -> None:
    schedule = documents.resources("AWS::Scheduler::Schedule")["KeepLedgerFunctionEveryFiveMinutes"]
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    for found in watched(BURNS[name]).values():
        assert found["Period"] == 300
        assert found["Metric"]["Namespace"] == "Standfast"
        assert {each["Name"]: target(each["Value"]) for each in found["Metric"]["Dimensions"]} == {
            "Fleet": "FleetName",
            "Region": "AWS::Region",
        }


def test_what_wakes_somebody_is_what_cannot_wait() -> None:
    told = {name: [target(topic) for topic in alarm["AlarmActions"]] for name, alarm in BURNS.items()}
    assert told == {"fast": ["Pages"], "medium": ["Pages"], "slow": ["Notices"]}


def test_a_silent_ledger_is_told_once() -> None:
    silent = [name for name, alarm in BURNS.items() if alarm.get("InsufficientDataActions")]
    assert silent == ["fast"]
    assert all(alarm["TreatMissingData"] == "missing" for alarm in BURNS.values())


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_no_further_back_than_cloudwatch_does(name: str) -> None:
    """PutMetricAlarm, Period: a day in all for periods below an hour, else seven; a period of a day at the most."""
    alarm = ALARMS[name]
    periods = {alarm["Period"]} if "Period" in alarm else {each["Period"] for each in watched(alarm).values()}
    for period in periods:
        assert period <= DAY
        assert period * alarm["EvaluationPeriods"] <= (DAY if period < HOUR else 7 * DAY)
