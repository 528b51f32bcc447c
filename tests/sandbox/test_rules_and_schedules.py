"""The EventBridge seam without workers: what a target receives, which rules speak, when a schedule fires."""

from __future__ import annotations

import json
import queue
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sandbox.aws import authorization, events
from sandbox.aws.latency import Latencies, LatencyInjector
from sandbox.aws.network import Network
from sandbox.aws.statemachines import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REGION = "us-east-1"
MACHINE = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'


@dataclass
class Bus:
    """The default bus, an authorizer and a queue that takes what a rule delivers."""

    session: Any
    authorizer: authorization.Authorizer
    network: Network = field(default_factory=lambda: Network((REGION,)))
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = self.session.client(service)
        return self.clients[service]

    def queue(self, name: str) -> tuple[str, str]:
        url = self.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return url, attributes["QueueArn"]

    def received(self, url: str, within: float = 30.0) -> list[str]:
        """What the queue holds, as soon as it holds something."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if found := self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                return [message["Body"] for message in found]
            time.sleep(0.02)
        return []

    def rule(self, name: str, target: Mapping[str, Any], **more: Any) -> None:
        self.client("events").put_rule(Name=name, **{"EventPattern": json.dumps({"source": [name]}), **more})
        self.client("events").put_targets(Rule=name, Targets=[{"Id": "1", **target}])

    def put(self, source: str, detail: Any = None) -> None:
        entry = {"Source": source, "DetailType": "Something", "Detail": json.dumps(detail or {}), "Resources": ["r"]}
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def role(self, name: str, action: str, resource: str) -> str:
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": resource}}
        arn = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        return str(arn)


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    with mock_aws():
        made = Bus(session, authorization.Authorizer(LatencyInjector(Latencies.none())))
        targets = events.Targets(made.network)
        undo = [authorization.install(made.authorizer), events.install(targets), targets.close]
        yield made
        for one in reversed(undo):
            one()


def test_a_target_receives_the_event_as_aws_writes_it(bus: Bus) -> None:
    url, arn = bus.queue("whole")
    bus.rule("whole", {"Arn": arn})
    bus.put("whole", {"a": 1})
    event = json.loads(bus.received(url)[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event.pop("time"))
    assert event.pop("id")
    assert event == {
        "version": "0",
        "source": "whole",
        "detail-type": "Something",
        "account": "123456789012",
        "region": REGION,
        "resources": ["r"],
        "detail": {"a": 1},
    }


EVENT = {"time": "2026-01-01T00:00:00Z", "detail": {"status": "FAILED", "n": 2, "by": {"name": 'a "b"'}}}


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"Input": '{"rounds": 12}'}, {"rounds": 12}),
        ({"InputPath": "$.detail.by"}, {"name": 'a "b"'}),
        ({"InputPath": "$"}, EVENT),
        ({"InputPath": "$.detail.nothing"}, None),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"s": "$.detail.status", "n": "$.detail.n", "by": "$.detail.by", "x": "$.x"},
                    "InputTemplate": '{"bare": <s>, "text": "it is <s>, <n>", "n": <n>, "by": <by>, "none": <x>}',
                }
            },
            {"bare": "FAILED", "text": "it is FAILED, 2", "n": 2, "by": {"name": 'a "b"'}, "none": None},
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"q": "$.detail.by.name"}, "InputTemplate": '"by <q>"'}},
            'by a "b"',
        ),
    ],
)
def test_a_target_s_input_is_made_as_the_rule_says(target: Mapping[str, Any], body: Any) -> None:
    assert json.loads(events._body(target, EVENT)) == body


def test_only_an_enabled_rule_whose_pattern_matches_speaks(bus: Bus) -> None:
    url, arn = bus.queue("who-speaks")
    bus.rule("disabled", {"Arn": arn, "Input": '"disabled"'}, State="DISABLED", EventPattern='{"source": ["speak"]}')
    bus.rule("other", {"Arn": arn, "Input": '"other"'})
    bus.client("events").put_rule(Name="timed", ScheduleExpression="rate(1 day)")
    bus.client("events").put_targets(Rule="timed", Targets=[{"Id": "1", "Arn": arn, "Input": '"timed"'}])
    bus.rule("speak", {"Arn": arn, "Input": '"speak"'})
    bus.put("speak")
    assert bus.received(url) == ['"speak"']
    assert bus.received(url, within=0.2) == []


def test_a_rule_starts_a_machine_under_the_target_s_role(bus: Bus) -> None:
    url, dead = bus.queue("not-started")
    states = bus.client("stepfunctions")
    machine = states.create_state_machine(
        name="m", definition=MACHINE, roleArn=bus.role("of-the-machine", "lambda:*", "*")
    )["stateMachineArn"]
    target = {"Arn": machine, "DeadLetterConfig": {"Arn": dead}, "RetryPolicy": {"MaximumRetryAttempts": 0}}
    bus.rule("starts", {**target, "RoleArn": bus.role("may-start", "states:StartExecution", machine)})
    bus.rule("starts-not", {**target, "RoleArn": bus.role("may-not-start", "states:StartExecution", machine + "-x")})
    bus.put("starts-not", {"n": 1})
    assert json.loads(bus.received(url)[0])["detail"] == {"n": 1}
    (denial,) = bus.authorizer.denials()
    assert (denial.role, denial.action, denial.resource) == ("may-not-start", "states:StartExecution", machine)
    assert states.list_executions(stateMachineArn=machine)["executions"] == []
    bus.put("starts")
    deadline = time.monotonic() + 5
    while not (started := states.list_executions(stateMachineArn=machine)["executions"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(started) == 1


def test_a_rule_publishes_to_a_topic(bus: Bus) -> None:
    url, arn = bus.queue("subscribed")
    topic = bus.client("sns").create_topic(Name="t")["TopicArn"]
    bus.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    bus.rule("published", {"Arn": topic, "Input": '"hello"'})
    bus.put("published")
    assert bus.received(url) == ['"hello"']


def test_a_target_of_an_unknown_kind_ends_in_the_dead_letter_queue(bus: Bus) -> None:
    url, dead = bus.queue("unknown-kind")
    stream = f"arn:aws:kinesis:{REGION}:123456789012:stream/x"
    bus.rule(
        "unknown",
        {"Arn": stream, "DeadLetterConfig": {"Arn": dead}, "RetryPolicy": {"MaximumRetryAttempts": 0}, "Input": '"x"'},
    )
    bus.put("unknown")
    assert bus.received(url) == ['"x"']


EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:m:n"


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (
            ExecutionStatus(EXECUTION, "m", "n", "FAILED", "{}", 1.5, 2.5, error="E", cause="C"),
            {"status": "FAILED", "startDate": 1500, "stopDate": 2500, "output": None, "error": "E", "cause": "C"},
        ),
        (
            ExecutionStatus(EXECUTION, "m", "n", "RUNNING", "{}", 1.5),
            {"status": "RUNNING", "startDate": 1500, "stopDate": None, "output": None, "error": None, "cause": None},
        ),
        (
            ExecutionStatus(EXECUTION, "m", "n", "SUCCEEDED", "{}", 1.5, 2.5, output='{"a": 1}'),
            {"status": "SUCCEEDED", "startDate": 1500, "stopDate": 2500, "output": '{"a": 1}', "error": None,
             "cause": None},
        ),
    ],
)  # fmt: skip
def test_a_change_of_status_is_an_event_on_the_default_bus(
    bus: Bus, status: ExecutionStatus, shown: Mapping[str, Any]
) -> None:
    url, arn = bus.queue(f"status-{status.status}")
    pattern = {"source": ["aws.states"], "detail": {"status": [status.status], "stateMachineArn": ["m"]}}
    bus.rule(f"status-{status.status}", {"Arn": arn}, EventPattern=json.dumps(pattern))
    events.put_execution_status([REGION])(status)
    event = json.loads(bus.received(url)[0])
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["resources"] == [EXECUTION]
    assert event["detail"] == {"executionArn": EXECUTION, "stateMachineArn": "m", "name": "n", "input": "{}", **shown}


@dataclass
class Fired:
    """Stands for the targets: keeps what is to be delivered."""

    bodies: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def deliver(self, target: Mapping[str, Any], body: str, *, buried_by: str | None) -> None:
        assert buried_by == target["RoleArn"]
        self.bodies.put(body)

    def next(self, within: float = 5.0) -> str | None:
        try:
            return self.bodies.get(timeout=within)
        except queue.Empty:
            return None


@pytest.fixture
def schedule(bus: Bus) -> Iterator[Callable[..., None]]:
    scheduler, made = bus.client("scheduler"), []

    def create(name: str, expression: str = "rate(1 minute)", **more: Any) -> None:
        made.append(name)
        target = {"Arn": "arn:aws:lambda:::function:f", "RoleArn": "arn:aws:iam::1:role/r", "Input": name}
        scheduler.create_schedule(
            Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **more
        )

    yield create
    for name in made:
        scheduler.delete_schedule(Name=name)


@pytest.fixture
def fired() -> Fired:
    return Fired()


@pytest.fixture
def ticker(fired: Fired, bus: Bus) -> Iterator[events.Ticker]:
    made = events.Ticker([REGION], fired, bus.network)  # type: ignore[arg-type]  # a stand-in that keeps what is delivered
    yield made
    made.stop()


def test_a_schedule_fires_at_once_and_then_waits_for_its_time(
    schedule: Callable[..., None], ticker: events.Ticker, fired: Fired
) -> None:
    schedule("first")
    schedule("off", State="DISABLED")
    ticker.start()
    assert fired.next() == "first"
    assert fired.next(within=0.4) is None
    schedule("later")
    assert fired.next() == "later"
    ticker.fire("first")
    assert fired.next() == "first"
    with pytest.raises(KeyError):
        ticker.fire("nothing")


def test_the_first_firing_waits_as_long_as_it_is_told(
    schedule: Callable[..., None], ticker: events.Ticker, fired: Fired
) -> None:
    schedule("patient")
    ticker.start(first_after_seconds=0.6)
    assert fired.next(within=0.3) is None
    assert fired.next() == "patient"


def test_a_schedule_fires_again_at_its_rate_but_not_while_it_is_paused(
    schedule: Callable[..., None], ticker: events.Ticker, fired: Fired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "period", lambda _: 0.2)
    schedule("often")
    ticker.start()
    begin = time.monotonic()
    assert [fired.next() for _ in range(4)] == ["often"] * 4
    assert time.monotonic() - begin >= 0.4  # its phase, then two periods
    ticker.pause("often")
    time.sleep(0.25)  # a firing under way ends
    while fired.next(within=0.01):
        pass
    assert fired.next(within=0.5) is None
    ticker.resume("often")
    assert fired.next() == "often"


def test_the_schedules_of_a_fleet_do_not_fire_in_the_same_second() -> None:
    names = ("watch-endpoints", "discover-replicas", "assess", "reconcile", "begin-recoveries", "find-config-drift")
    seconds = {60 * events.phase(region, name) for region in ("us-east-1", "us-west-2", "us-east-2") for name in names}
    assert all(12 <= second <= 60 for second in seconds)
    assert len({int(second / 3) for second in seconds}) >= 9  # of 16


def test_a_schedule_that_is_no_rate_does_not_keep_the_others_from_firing(
    schedule: Callable[..., None], ticker: events.Ticker, fired: Fired
) -> None:
    schedule("a-nightly-one", "cron(0 2 * * ? *)")
    schedule("b-rate")
    ticker.start()
    assert fired.next() == "b-rate"
    schedule("c-rate")
    assert fired.next() == "c-rate"
