"""CloudWatch in the whole cloud: from what a function prints to the function that a rule on alarms invokes."""

from __future__ import annotations

import json
import time
from typing import Any

from sandbox.aws.metrics import Metric
from tests.sandbox.conftest import Bench, wait_for

SOURCE = """
import json, time

def handler(event, context):
    print('not "_aws" at all')
    print(json.dumps({
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [{
                "Namespace": "Standfast",
                "Dimensions": [["Fleet"]],
                "Metrics": [{"Name": "ActiveDown", "Unit": "Count", "StorageResolution": 1}],
            }],
        },
        "Fleet": "f",
        "ActiveDown": 1,
    }))
"""
NOTES = "def handler(event, context): print('alarm', event['detail']['alarmName'], *event['resources'])"
ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:active-down"
METRIC = Metric.of("Standfast", "ActiveDown", {"Fleet": "f"})


def _alarm(bench: Bench) -> None:
    bench.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="active-down",
        Namespace="Standfast",
        MetricName="ActiveDown",
        Dimensions=[{"Name": "Fleet", "Value": "f"}],
        Statistic="Maximum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


def test_what_a_function_prints_alarms_and_a_rule_on_the_alarm_invokes_a_function(bench: Bench) -> None:
    function = bench.function("takes-alarms", NOTES)
    events = bench.cloud.client("events")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [ARN],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": function}])
    bench.cloud.client("lambda").add_permission(
        FunctionName=function, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    _alarm(bench)
    bench.function("prints-metrics", SOURCE)
    monitoring = bench.cloud.monitoring

    assert bench.invoke("prints-metrics") == (None, None)
    wait_for("the metric", lambda: METRIC in monitoring.metrics.metrics("us-east-1"))
    monitoring.alarms.evaluate(time.time() + 16)

    wait_for("the alarm", lambda: ("takes-alarms", f"alarm active-down {ARN}") in bench.heard)
    assert [(bad.function, "no JSON" in bad.reason) for bad in monitoring.malformed()] == [("prints-metrics", True)]


def test_a_function_reads_metrics_under_its_role_only(bench: Bench) -> None:
    source = """
import boto3, datetime

def handler(event, context):
    now = datetime.datetime.now(datetime.UTC)
    query = {"Id": "q", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}}
    found = boto3.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=now - datetime.timedelta(minutes=5), EndTime=now)
    return found["MetricDataResults"][0]["Values"]
"""
    bench.cloud.client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "M", "Value": 3.0}])
    bench.function("may-read", source, {"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"})
    bench.function("may-not-read", source)
    assert bench.invoke("may-read") == (None, [3.0])
    failed, said = bench.invoke("may-not-read")
    assert failed, said
    assert bench.cloud.denials()[-1].action == "cloudwatch:GetMetricData"


def test_an_alarm_of_a_template_can_be_read_back(bench: Bench, tmp_path: Any) -> None:
    template = tmp_path / "alarms.yaml"
    template.write_text("""
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Silent:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: of-a-template
      Metrics:
        - Id: filled
          Expression: FILL(passes, 0)
        - Id: passes
          ReturnData: false
          MetricStat:
            Metric: {Namespace: Standfast, MetricName: Passes, Dimensions: [{Name: Fleet, Value: f}]}
            Period: 10
            Stat: Sum
      EvaluationPeriods: 2
      Threshold: 1
      ComparisonOperator: LessThanThreshold
      TreatMissingData: breaching
""")
    bench.cloud.deploy("alarms", template, {})
    (found,) = bench.cloud.client("cloudwatch").describe_alarms(AlarmNames=["of-a-template"])["MetricAlarms"]
    assert (found["StateValue"], found["EvaluationPeriods"]) == ("INSUFFICIENT_DATA", 2)


def test_once_started_alarms_are_evaluated_by_themselves(bench: Bench) -> None:
    bench.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="nothing-there",
        Namespace="Standfast",
        MetricName="Never",
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    bench.cloud.monitoring.start()
    bench.cloud.monitoring.start()
    transitions = bench.cloud.monitoring.alarms.transitions
    (found,) = wait_for("the alarm", lambda: [one for one in transitions() if one.alarm == "nothing-there"])
    assert (found.region, found.before.value, found.after.value) == ("us-east-1", "INSUFFICIENT_DATA", "ALARM")
