"""Alarms: judged from metrics by the rules of CloudWatch's guide, and told of as CloudWatch tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.alarm_rules import AlarmRule, Watched, judge
from sandbox.aws.metrics import Datum, Metric, Summary
from sandbox.aws.monitoring import Monitoring

REGION = "us-west-2"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
SESSION: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
PASSES = Metric.of("Standfast", "Passes", {"Fleet": "f"})

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEEPS = None
# "Configuring how CloudWatch alarms treat missing data", both tables and the text below them. The newest datapoint is
# on the right; 0 does not breach, X does, - is missing. The columns are those of TREATMENTS.
GUIDE = [
    (3, "0 - X - X", ("OK", "OK", "OK", "OK")),
    (3, "0 - - - -", ("OK", "OK", "OK", "OK")),
    (3, "- - - - -", ("INSUFFICIENT_DATA", KEEPS, "ALARM", "OK")),
    (3, "0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    (3, "- - X - -", ("ALARM", KEEPS, "ALARM", "OK")),
    (2, "0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    (2, "0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
    (2, "0 - X - -", ("OK", "OK", "ALARM", "OK")),
    (2, "- - - - 0", ("OK", "OK", "ALARM", "OK")),
    (2, "- - - X -", ("ALARM", KEEPS, "ALARM", "OK")),
    (3, "- - - - X", (KEEPS, KEEPS, "ALARM", "OK")),
    (3, "- - - X -", (KEEPS, KEEPS, "ALARM", "OK")),
]


def rule(
    missing: str = "missing", *, datapoints_to_alarm: int = 3, threshold: float = 1, comparison: str = ""
) -> AlarmRule:
    return AlarmRule(
        watched={"m1": Watched(PASSES, "Sum")},
        period=10,
        expression=None,
        evaluation_periods=3,
        datapoints_to_alarm=datapoints_to_alarm,
        threshold=threshold,
        comparison=comparison or "GreaterThanThreshold",
        missing=missing,
    )


@pytest.mark.parametrize(
    ("datapoints_to_alarm", "datapoints", "missing", "state"),
    [
        pytest.param(enough, datapoints, missing, state, id=f"{enough} of 3, {datapoints}, {missing}")
        for enough, datapoints, states in GUIDE
        for missing, state in zip(TREATMENTS, states, strict=True)
    ],
)
def test_the_examples_of_the_guide(datapoints_to_alarm: int, datapoints: str, missing: str, state: str | None) -> None:
    values = [{"0": 0.0, "X": 2.0, "-": None}[each] for each in datapoints.split()]
    assert judge(rule(missing, datapoints_to_alarm=datapoints_to_alarm), values).state == state


@pytest.mark.parametrize(
    ("comparison", "alarms"),
    [
        ("GreaterThanThreshold", (False, False, True)),
        ("GreaterThanOrEqualToThreshold", (False, True, True)),
        ("LessThanThreshold", (True, False, False)),
        ("LessThanOrEqualToThreshold", (True, True, False)),
    ],
)
def test_a_threshold_is_crossed_as_the_operator_says(comparison: str, alarms: tuple[bool, ...]) -> None:
    found = [judge(rule(comparison=comparison), [None, None, value, value, value]).state for value in (0.0, 1.0, 2.0)]
    assert found == ["ALARM" if each else "OK" for each in alarms]


def test_the_reason_tells_datapoints_threshold_and_what_was_missing() -> None:
    assert judge(rule(), [0.0, 0.0, 2.0, 3.0, 4.0]).reason == (
        "Threshold Crossed: 3 out of the last 3 datapoints [2.0, 3.0, 4.0] were greater than the threshold (1) "
        "(minimum 3 datapoints for OK -> ALARM transition)."
    )
    assert judge(rule(), [0.0, 0.0, 2.0, 3.0, 0.5]).reason == (
        "Threshold Crossed: 1 out of the last 3 datapoints [2.0, 3.0, 0.5] was not greater than the threshold (1) "
        "(minimum 1 datapoint for ALARM -> OK transition)."
    )
    assert judge(rule("breaching"), [None] * 5).reason == (
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
        "[Breaching]."
    )
    assert judge(rule(), [None] * 5).reason == "Insufficient Data: 3 datapoints were unknown."


@dataclass
class Region:
    """One Region's CloudWatch with a clock of its own, and a queue that hears the default bus and a topic."""

    monitoring: Monitoring
    queue: str
    topic: str
    now: float = NOON

    def alarm(self, **more: Any) -> None:
        """Like the watch's alarm on silence, but for `more`."""
        given = {
            "AlarmName": "silent",
            "Namespace": "Standfast",
            "MetricName": "Passes",
            "Dimensions": [{"Name": "Fleet", "Value": "f"}],
            "Statistic": "Sum",
            "Period": 10,
            "EvaluationPeriods": 2,
            "Threshold": 1.0,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "breaching",
            **more,
        }
        client("cloudwatch").put_metric_alarm(**{name: value for name, value in given.items() if value is not None})

    def put(self, value: float, *, region: str = REGION) -> None:
        self.monitoring.metrics.put(region, [Datum(PASSES, self.now, Summary.of({value: 1}), resolution=1)])

    def beat(self, times: int) -> None:
        """One datapoint each ten seconds."""
        for _ in range(times):
            self.put(5)
            self.pass_time(10)

    def pass_time(self, seconds: float) -> None:
        """Second by second, as the thread would."""
        for _ in range(round(seconds)):
            self.now += 1
            self.monitoring.tick()

    @property
    def state(self) -> str:
        (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=["silent"])["MetricAlarms"]
        return str(alarm["StateValue"])

    def received(self) -> list[dict[str, Any]]:
        found = client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]


def client(service: str) -> Any:
    return SESSION.client(service)


@pytest.fixture
def region() -> Iterator[Region]:
    with mock_aws():
        sqs, sns, events = client("sqs"), client("sns"), client("events")
        url = sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="pages")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        events.put_rule(Name="alarms", EventPattern=json.dumps({"source": ["aws.cloudwatch"]}))
        events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": arn}])
        found: list[Region] = []
        monitoring = Monitoring(lambda: found[0].now if found else NOON)
        found.append(Region(monitoring, url, topic))
        yield found[0]
        monitoring.close()


def test_a_new_alarm_has_insufficient_data_and_one_that_is_put_again_keeps_its_state(region: Region) -> None:
    region.alarm()
    assert region.state == "INSUFFICIENT_DATA"
    region.put(5)
    region.pass_time(16)
    assert region.state == "OK"
    region.alarm(Threshold=0.5)
    assert region.state == "OK"


def test_an_alarm_of_ten_seconds_is_evaluated_each_ten_seconds_and_one_of_a_minute_each_minute(region: Region) -> None:
    more = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "TreatMissingData": "notBreaching"}
    region.alarm(**more)
    region.alarm(**more, Period=60, AlarmName="slow")
    region.put(5)
    region.pass_time(100)
    found = [
        (change.alarm, change.after.at - NOON)
        for change in region.monitoring.alarms.transitions()
        if change.after.value == "ALARM"
    ]
    assert found == [("silent", 15), ("slow", 100)]


def test_an_alarm_on_silence_looks_further_back_than_its_periods_unless_missing_data_are_filled(region: Region) -> None:
    region.beat(3)
    region.alarm()
    region.alarm(
        AlarmName="filled",
        Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None,
        Metrics=[
            {"Id": "passes", "ReturnData": False, "MetricStat": {
                "Metric": {"Namespace": "Standfast", "MetricName": "Passes",
                           "Dimensions": [{"Name": "Fleet", "Value": "f"}]},
                "Period": 10, "Stat": "Sum"}},
            {"Id": "filled", "Expression": "FILL(passes, 0)", "ReturnData": True},
        ],
    )  # fmt: skip
    region.pass_time(60)
    alarmed = {
        change.alarm: change.after.at - (NOON + 30)
        for change in region.monitoring.alarms.transitions()
        if change.after.value == "ALARM"
    }
    assert alarmed == {"filled": 25, "silent": 45}
    region.put(5)
    region.pass_time(25)
    assert [change.after.value for change in region.monitoring.alarms.transitions()][-2:] == ["OK", "OK"]


def test_a_metric_that_never_was_is_not_filled(region: Region) -> None:
    metric = {"Namespace": "Standfast", "MetricName": "Never", "Dimensions": []}
    region.alarm(
        Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None, TreatMissingData="missing",
        Metrics=[
            {"Id": "m1", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 10, "Stat": "Sum"}},
            {"Id": "e1", "Expression": "FILL(m1, 0)"},
        ],
    )  # fmt: skip
    region.pass_time(60)
    assert region.state == "INSUFFICIENT_DATA"


def test_an_alarm_may_reckon_with_several_metrics_and_has_no_datapoint_where_one_is_missing(region: Region) -> None:
    def query(name: str, metric: str) -> dict[str, Any]:
        found = {"Namespace": "Standfast", "MetricName": metric, "Dimensions": [{"Name": "Fleet", "Value": "f"}]}
        return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": found, "Period": 10, "Stat": "Sum"}}

    region.alarm(
        Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None, EvaluationPeriods=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="missing",
        Metrics=[
            query("passes", "Passes"), query("wanted", "Wanted"),
            {"Id": "short", "Expression": "2 * 1 * wanted - FILL(passes, 0)"},
        ],
    )  # fmt: skip
    wanted = Metric.of("Standfast", "Wanted", {"Fleet": "f"})
    region.put(6)
    region.monitoring.metrics.put(REGION, [Datum(wanted, region.now, Summary.of({3.0: 1}), resolution=1)])
    region.pass_time(16)
    assert region.state == "OK"  # 6 are wanted, and 6 there
    region.put(5)  # of the next period nothing is known but this
    region.pass_time(70)
    assert region.state == "INSUFFICIENT_DATA"
    region.monitoring.metrics.put(REGION, [Datum(wanted, region.now, Summary.of({3.0: 1}), resolution=1)])
    region.pass_time(16)
    assert region.state == "ALARM"  # 6 are wanted, and none there


def test_an_alarm_on_two_windows_goes_off_when_both_are_over_it_and_ends_when_one_no_longer_is(region: Region) -> None:
    def query(name: str) -> dict[str, Any]:
        found = {"Namespace": "Standfast", "MetricName": name, "Dimensions": [{"Name": "Fleet", "Value": "f"}]}
        return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": found, "Period": 300, "Stat": "Maximum"}}

    def publish(long: float, short: float) -> None:
        for name, value in (("long", long), ("short", short)):
            metric = Metric.of("Standfast", name, {"Fleet": "f"})
            region.monitoring.metrics.put(REGION, [Datum(metric, region.now, Summary.of({value: 1}))])
        region.pass_time(300)

    region.alarm(
        Namespace=None, MetricName=None, Dimensions=None, Statistic=None, Period=None, EvaluationPeriods=1,
        Threshold=14.4, ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="missing",
        Metrics=[query("long"), query("short"), {"Id": "both", "Expression": "MIN([long, short])"}],
    )  # fmt: skip
    publish(20.0, 3.0)
    assert region.state == "OK"
    publish(14.4, 900.0)
    assert region.state == "ALARM"
    publish(16.0, 0.0)
    assert region.state == "OK"
    region.pass_time(600)  # nothing is published, and the older figures are still seen
    assert region.state == "OK"
    region.pass_time(900)
    assert region.state == "INSUFFICIENT_DATA"


def test_a_change_of_state_is_an_event_on_the_default_bus_and_a_message_to_the_topic_of_the_state(
    region: Region,
) -> None:
    region.beat(3)
    region.alarm(AlarmActions=[region.topic], OKActions=[], AlarmDescription="the watch is silent")
    region.pass_time(20)
    assert [event["detail"]["state"]["value"] for event in region.received()] == ["OK"]
    region.pass_time(30)
    event, message = sorted(region.received(), key=lambda heard: "detail" not in heard)
    arn = "arn:aws:cloudwatch:us-west-2:123456789012:alarm:silent"
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert (event["resources"], event["region"]) == ([arn], REGION)
    detail = event["detail"]
    assert (detail["alarmName"], detail["previousState"]["value"], detail["state"]["value"]) == (
        "silent",
        "OK",
        "ALARM",
    )
    assert detail["state"]["timestamp"] == "2026-11-23T12:01:15.000+0000"
    assert detail["state"]["reason"].startswith("Threshold Crossed: no datapoints were received for 2 periods")
    assert json.loads(detail["state"]["reasonData"])["threshold"] == 1.0
    assert detail["configuration"]["description"] == "the watch is silent"
    (watched,) = detail["configuration"]["metrics"]
    assert watched["metricStat"] == {
        "metric": {"dimensions": {"Fleet": "f"}, "name": "Passes", "namespace": "Standfast"},
        "period": 10,
        "stat": "Sum",
    }
    assert (message["AlarmArn"], message["OldStateValue"], message["NewStateValue"]) == (arn, "OK", "ALARM")
    assert message["Trigger"]["Dimensions"] == [{"name": "Fleet", "value": "f"}]


def test_an_alarm_tells_once_for_each_change_and_publishes_nothing_with_its_actions_off(region: Region) -> None:
    region.alarm(AlarmActions=[region.topic], ActionsEnabled=False)
    region.pass_time(120)
    (heard,) = region.received()
    assert heard["detail"]["state"]["value"] == "ALARM"


def test_a_topic_that_is_gone_does_not_hide_the_event(region: Region) -> None:
    region.alarm(AlarmActions=["arn:aws:sns:us-west-2:123456789012:gone", region.topic])
    region.pass_time(30)
    assert len(region.received()) == 2
    region.put(5)
    region.pass_time(30)
    assert region.state == "OK"


def test_alarms_see_the_metrics_of_their_own_region_only(region: Region) -> None:
    region.alarm(TreatMissingData="missing")
    region.put(5, region="us-east-1")
    region.pass_time(30)
    assert region.state == "INSUFFICIENT_DATA"


def test_with_metrics_silenced_an_alarm_sees_missing_data_and_lost_reads_are_nothing_to_it(region: Region) -> None:
    region.alarm(TreatMissingData="missing")
    region.monitoring.metrics.lose_reads(REGION)
    region.put(5)
    region.pass_time(20)
    assert region.state == "OK"
    region.monitoring.metrics.silence(REGION)
    region.beat(6)
    assert region.state == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
        ({"AlarmActions": ["arn:aws:automate:us-west-2:ec2:reboot"]}, "arn:aws:automate"),
        ({"Statistic": None, "ExtendedStatistic": "p101"}, "p101"),
        ({"Period": 15}, "not 15"),
        ({"Period": 3600, "EvaluationPeriods": 7}, "28800 s only"),
        ({"Period": 30, "EvaluationPeriods": 30}, "900 s only"),
        ({"MetricName": None, "Statistic": None, "Period": None, "Metrics": [{"Id": "e1", "Expression": "MIN(m1)"}]},
         r"MIN\(m1\)"),
        ({"MetricName": None, "Statistic": None, "Period": None, "Metrics": [{"Id": "e1", "Expression": "m1 / m2"}]},
         "m1 / m2"),
    ],
)  # fmt: skip
def test_an_alarm_that_could_not_be_evaluated_is_refused(region: Region, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError, match=why):
        region.alarm(**more)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
