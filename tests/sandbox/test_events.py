"""The EventBridge seam: rules reach their targets, schedules fire, executions that end are events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from sandbox.aws.events import period
from tests.sandbox.conftest import Bench, wait_for

NOTES = "def handler(event, context): print('got ' + str(event.get('detail', event).get('status', event)))"
FAILS = {"StartAt": "End", "States": {"End": {"Type": "Fail", "Error": "OnPurpose", "Cause": "a test"}}}


def _rule(bench: Bench, name: str, pattern: Mapping[str, object], *targets: Mapping[str, object]) -> None:
    events = bench.cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=list(targets))


def test_an_execution_that_fails_is_an_event_that_reaches_a_function(bench: Bench) -> None:
    function = bench.function("takes-notes", NOTES)
    machine = bench.machine("failing", FAILS)
    detail = {"stateMachineArn": [machine], "status": ["FAILED", "TIMED_OUT", "ABORTED"]}
    _rule(bench, "ended", {"source": ["aws.states"], "detail": detail}, {"Id": "1", "Arn": function})
    assert bench.run(machine, {})["status"] == "FAILED"
    wait_for("the event", lambda: ("takes-notes", "got FAILED") in bench.heard)


def test_the_event_tells_error_and_input(bench: Bench) -> None:
    url, arn = bench.queue("ended")
    machine = bench.machine("failing-too", FAILS)
    _rule(bench, "to-queue", {"source": ["aws.states"], "detail": {"stateMachineArn": [machine], "status": ["FAILED"]}},
          {"Id": "1", "Arn": arn})  # fmt: skip
    bench.run(machine, {"a": 1})
    event = json.loads(wait_for("the event", lambda: bench.received(url))[0])
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert (event["detail"]["error"], event["detail"]["cause"]) == ("OnPurpose", "a test")
    assert json.loads(event["detail"]["input"]) == {"a": 1}


def test_a_target_that_cannot_be_reached_ends_in_the_dead_letter_queue(bench: Bench) -> None:
    url, arn = bench.queue("undelivered")
    nowhere = "arn:aws:lambda:us-east-1:123456789012:function:nowhere"
    target = {"Id": "1", "Arn": nowhere, "DeadLetterConfig": {"Arn": arn}, "RetryPolicy": {"MaximumRetryAttempts": 0}}
    _rule(bench, "lost", {"source": ["a-test"]}, target)
    bench.cloud.client("events").put_events(Entries=[{"Source": "a-test", "DetailType": "x", "Detail": "{}"}])
    assert json.loads(wait_for("the dead letter", lambda: bench.received(url))[0])["source"] == "a-test"


def test_a_schedule_fires_at_once_and_under_its_role(bench: Bench) -> None:
    function = bench.function("scheduled", NOTES)
    url, dead = bench.queue("schedule-dead-letters")
    scheduler = bench.cloud.client("scheduler")
    allowed = bench.role("may", {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function})
    forbidden = bench.role("may-not", {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead})
    for name, role in (("good", allowed), ("bad", forbidden)):
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="rate(5 minutes)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": function,
                "RoleArn": role,
                "Input": json.dumps({"status": name}),
                "DeadLetterConfig": {"Arn": dead},
                "RetryPolicy": {"MaximumRetryAttempts": 0},
            },
        )
    bench.cloud.ticker.start()
    wait_for("the good one", lambda: ("scheduled", "got good") in bench.heard)
    assert json.loads(wait_for("the dead letter", lambda: bench.received(url))[0]) == {"status": "bad"}
    assert bench.cloud.denials()[-1].role == "may-not"
    bench.cloud.ticker.fire("good")
    wait_for("the second", lambda: bench.heard.count(("scheduled", "got good")) == 2)


@pytest.mark.parametrize(
    ("expression", "seconds"), [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(1 day)", 86400)]
)
def test_a_rate_is_a_period(expression: str, seconds: float) -> None:
    assert period(SimpleNamespace(schedule_expression=expression, name="x")) == seconds


def test_what_is_no_rate_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"cron.*\(nightly\)"):
        period(SimpleNamespace(schedule_expression="cron(0 2 * * ? *)", name="nightly"))
