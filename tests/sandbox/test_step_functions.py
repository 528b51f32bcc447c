"""The Step Functions seam: names, roles, errors, stops, timeouts and waits are as AWS has them."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.awslambda import models as lambda_models
from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from sandbox.aws import authorization, statemachines
from sandbox.aws.latency import STATE_TRANSITION, Latencies, LatencyInjector
from sandbox.aws.network import Network
from sandbox.aws.roles import RoleClients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.aws.statemachines import ExecutionStatus

REGION = "us-east-1"
FAILOVER = Path(__file__).resolve().parents[2] / "statemachines" / "cluster_failover.asl.yaml"
MOTO: Any = {"stepfunctions": {"execute_state_machine": True}}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
# The one retry block of all tasks, as statemachines/ spells it out.
RETRY = {
    "ErrorEquals": ["ThrottledError", "Lambda.TooManyRequestsException"],
    "IntervalSeconds": 1,
    "MaxAttempts": 4,
    "BackoffRate": 2.0,
    "MaxDelaySeconds": 5,
}


class RaisedError(Exception):
    """What a function raised: its class's name and its text."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Engine:
    """The engine in this process, with functions that a test writes in place of workers."""

    states: Any
    iam: Any
    functions: Any
    injector: LatencyInjector
    authorizer: authorization.Authorizer
    network: Network = field(default_factory=lambda: Network((REGION,)))
    told: list[ExecutionStatus] = field(default_factory=list)
    ended: dict[str, threading.Event] = field(default_factory=dict)
    handlers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    count: int = 0

    def on_status(self, status: ExecutionStatus) -> None:
        self.told.append(status)
        if status.status != "RUNNING":
            self.ended.setdefault(status.execution_arn, threading.Event()).set()

    def function(self, handler: Callable[[Any], Any], name: str = "") -> str:
        """Deploy a function; its ARN."""
        self.count += 1
        name = name or f"function-{self.count}"
        self.handlers[name] = handler
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("main.py", "")
        made = self.functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=self.role("*"),
            Handler="main.handler",
            Code={"ZipFile": archive.getvalue()},
        )
        return str(made["FunctionArn"])

    def role(self, *functions: str) -> str:
        """A role that may invoke these functions; its ARN."""
        self.count += 1
        name = f"role-{self.count}"
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        actions = ["lambda:InvokeFunction", "states:StartExecution", "states:DescribeExecution"]
        statement = {
            "Effect": "Allow",
            "Action": actions if functions == ("*",) else actions[0],
            "Resource": list(functions),
        }
        self.iam.put_role_policy(
            RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
        )
        return str(arn)

    def machine(self, definition: Mapping[str, Any], role: str = "") -> str:
        """Create a machine; its ARN."""
        self.count += 1
        made = self.states.create_state_machine(
            name=f"machine-{self.count}", definition=json.dumps(definition), roleArn=role or self.role("*")
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, payload: Any = None, **more: Any) -> str:
        made = self.states.start_execution(stateMachineArn=machine, input=json.dumps(payload or {}), **more)
        return str(made["executionArn"])

    def wait(self, execution: str) -> Any:
        """What DescribeExecution says once it ended."""
        assert self.ended.setdefault(execution, threading.Event()).wait(10), f"{execution} does not end"
        return self.states.describe_execution(executionArn=execution)

    def run(self, definition: Mapping[str, Any], payload: Any = None, role: str = "") -> Any:
        return self.wait(self.start(self.machine(definition, role), payload))

    def invoke(self, function: Any, body: Any, response_headers: Any) -> bytes:
        """What stands for the workers."""
        payload = json.loads(body or "{}")
        self.calls.append((function.function_name, payload))
        try:
            answer = self.handlers[function.function_name](payload)
        except RaisedError as failure:
            response_headers["x-amz-function-error"] = "Unhandled"
            answer = {"errorType": failure.kind, "errorMessage": str(failure)}
        return json.dumps(answer).encode()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    injector = LatencyInjector(Latencies(0.0, 0.0, 0.0, 0.0, state_transition=0.001))
    with mock_aws(config=MOTO), pytest.MonkeyPatch.context() as patch:
        states, iam, functions = (session.client(name) for name in ("stepfunctions", "iam", "lambda"))
        made = Engine(states, iam, functions, injector, authorization.Authorizer(injector))

        def invoke(backend: Any, name: str, qualifier: Any, body: Any, _: Any, response_headers: Any) -> bytes:
            return made.invoke(backend.get_function(name, qualifier), body, response_headers)

        patch.setattr(lambda_models.LambdaBackend, "invoke", invoke)
        undo = [authorization.install(made.authorizer), statemachines.install(injector, made.on_status, made.network)]
        yield made
        for one in undo:
            one()


def one_state(**state: Any) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": state}}


def task(arn: str, **more: Any) -> dict[str, Any]:
    """A task and what follows when it fails: a state that answers the error."""
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}]
    return {
        "StartAt": "Task",
        "States": {
            "Task": {"Type": "Task", "Resource": arn, "Catch": catch, "End": True, **more},
            "Failed": {"Type": "Pass", "InputPath": "$.error", "End": True},
        },
    }


def error_of(described: Any) -> str:
    return str(json.loads(described["output"])["Error"])


PASS = one_state(Type="Pass", End=True)
LONG = one_state(Type="Wait", Seconds=60, End=True)


def test_an_execution_without_a_name_is_given_one(engine: Engine) -> None:
    described = engine.run(PASS)
    assert described["status"] == "SUCCEEDED"
    assert described["name"]
    assert described["executionArn"].endswith(":" + described["name"])


def test_a_name_with_the_same_input_is_the_same_execution_while_it_runs(engine: Engine) -> None:
    machine = engine.machine(LONG)
    first = engine.start(machine, {"n": 1}, name="once")
    assert engine.start(machine, {"n": 1}, name="once") == first
    with pytest.raises(engine.states.exceptions.ExecutionAlreadyExists):
        engine.start(machine, {"n": 2}, name="once")
    engine.states.stop_execution(executionArn=first)
    engine.wait(first)


def test_a_name_is_not_used_again_after_its_execution_ended(engine: Engine) -> None:
    machine = engine.machine(PASS)
    engine.wait(engine.start(machine, {"n": 1}, name="once"))
    with pytest.raises(engine.states.exceptions.ExecutionAlreadyExists):
        engine.start(machine, {"n": 1}, name="once")


def test_of_many_who_start_one_name_at_once_one_succeeds(engine: Engine) -> None:
    machine = engine.machine(LONG)
    together = threading.Barrier(8)

    def start(number: int) -> str | None:
        together.wait()
        try:
            return engine.start(machine, {"n": number}, name="raced")
        except engine.states.exceptions.ExecutionAlreadyExists:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [arn for arn in pool.map(start, range(8)) if arn]
    assert len(won) == 1
    assert len(engine.states.list_executions(stateMachineArn=machine)["executions"]) == 1
    engine.states.stop_execution(executionArn=won[0])


def test_the_context_object_and_the_whole_input_reach_a_task(engine: Engine) -> None:
    parameters = {
        "arn.$": "$$.Execution.Id",
        "name.$": "$$.Execution.Name",
        "at.$": "$$.Execution.StartTime",
        "input.$": "$",
    }
    arn = engine.function(lambda payload: payload)
    described = engine.run(task(arn, Parameters=parameters, ResultPath="$"), {"x": [1]})
    output = json.loads(described["output"])
    assert (output["arn"], output["name"], output["input"]) == (
        described["executionArn"],
        described["name"],
        {"x": [1]},
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", output["at"])


def test_a_task_runs_under_the_machine_s_own_role(engine: Engine) -> None:
    may, may_not = engine.function(lambda _: "done"), engine.function(lambda _: "done")
    role = engine.role(may)
    assert json.loads(engine.run(task(may), role=role)["output"]) == "done"
    assert error_of(engine.run(task(may_not), role=role)) == "Lambda.AWSLambdaException"
    (denial,) = engine.authorizer.denials()
    assert (denial.role, denial.action, denial.resource) == (role.split("/")[-1], "lambda:InvokeFunction", may_not)
    engine.authorizer.forgive(denial.role)


def test_what_a_function_raises_is_caught_by_the_name_of_its_class(engine: Engine) -> None:
    def fail(_: Any) -> Any:
        raise RaisedError("LeaseHeldError", "held by another")

    described = engine.run(task(engine.function(fail)))
    assert error_of(described) == "LeaseHeldError"
    assert json.loads(json.loads(described["output"])["Cause"])["errorMessage"] == "held by another"


@pytest.mark.parametrize("jitter", [False, True])
def test_a_throttled_task_is_tried_again_as_the_retry_block_says(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, jitter: bool
) -> None:
    slept: list[float] = []

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            slept.append(seconds)

    monkeypatch.setattr(retrier_decl, "time", Clock)

    def refuse(_: Any) -> Any:
        refusal = JsonRESTError("TooManyRequestsException", "Rate Exceeded.")
        refusal.code = 429
        raise refusal

    retry = {**RETRY, "JitterStrategy": "FULL" if jitter else "NONE"}
    assert error_of(engine.run(task(engine.function(refuse), Retry=[retry]))) == "Lambda.TooManyRequestsException"
    longest = [1, 2, 4, 5]
    if jitter:
        assert len(slept) == 4
        assert all(0 <= seconds <= most for seconds, most in zip(slept, longest, strict=True))
        assert slept != longest
    else:
        assert slept == longest


def test_fail_takes_error_and_cause_from_the_state_s_input(engine: Engine) -> None:
    failing = one_state(Type="Fail", ErrorPath="$.what", CausePath="$.told.text")
    described = engine.run(failing, {"what": "FailoverDidNotSucceed", "told": {"text": "no standby"}})
    assert (described["status"], described["error"], described["cause"]) == (
        "FAILED",
        "FailoverDidNotSucceed",
        "no standby",
    )


def test_a_stopped_execution_keeps_error_and_cause(engine: Engine) -> None:
    execution = engine.start(engine.machine(LONG))
    engine.states.stop_execution(executionArn=execution, error="Wrong", cause="by hand")
    described = engine.wait(execution)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Wrong", "by hand")


def test_an_execution_that_has_only_just_been_started_can_be_stopped(engine: Engine) -> None:
    machine = engine.machine(LONG)
    for _ in range(5):
        execution = engine.start(machine)
        engine.states.stop_execution(executionArn=execution)
        assert engine.wait(execution)["status"] == "ABORTED"


def test_the_history_of_an_execution_that_has_not_begun_is_empty(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Execution, "start", lambda _self: None)
    arn = engine.start(engine.machine({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}))
    assert engine.states.get_execution_history(executionArn=arn)["events"] == []


def test_a_stop_after_the_end_changes_nothing(engine: Engine) -> None:
    execution = engine.start(engine.machine(one_state(Type="Fail", Error="First", Cause="C")))
    before = engine.wait(execution)
    engine.states.stop_execution(executionArn=execution, error="Second")
    after = engine.wait(execution)
    keys = ("status", "error", "cause", "stopDate")
    assert [after[key] for key in keys] == [before[key] for key in keys]


@pytest.fixture
def blocked() -> Iterator[tuple[threading.Event, Callable[[Any], Any]]]:
    """A function that is at work until the test ends, and then raises; and whether it began."""
    reached, go_on = threading.Event(), threading.Event()

    def work(_: Any) -> Any:
        reached.set()
        go_on.wait(10)
        raise RaisedError("ConflictError")

    yield reached, work
    go_on.set()


def test_an_execution_ends_when_it_is_stopped_not_when_its_task_is_done(
    engine: Engine, blocked: tuple[threading.Event, Callable[[Any], Any]]
) -> None:
    reached, work = blocked
    execution = engine.start(engine.machine(task(engine.function(work))))
    assert reached.wait(5)
    engine.states.stop_execution(executionArn=execution, error="Stopped")
    described = engine.wait(execution)
    assert (described["status"], described["error"]) == ("ABORTED", "Stopped")


def test_an_execution_s_time_ends_while_a_task_is_at_work(
    engine: Engine, blocked: tuple[threading.Event, Callable[[Any], Any]]
) -> None:
    described = engine.run({**task(engine.function(blocked[1])), "TimeoutSeconds": 1})
    assert described["status"] == "TIMED_OUT"
    assert described["stopDate"] > described["startDate"]
    told = [each.status for each in engine.told if each.execution_arn == described["executionArn"]]
    assert told == ["RUNNING", "TIMED_OUT"]


def test_a_task_s_time_ends_with_a_timeout_that_can_be_caught(engine: Engine) -> None:
    go_on = threading.Event()
    arn = engine.function(lambda _: go_on.wait(5))
    assert error_of(engine.run(task(arn, TimeoutSeconds=1))) == "States.Timeout"
    go_on.set()


def test_each_state_entered_waits_once(engine: Engine) -> None:
    calls: list[int] = []

    def fail_once(_: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RaisedError("ThrottledError")

    engine.injector.clear()
    retry = {**RETRY, "MaxDelaySeconds": 1, "JitterStrategy": "FULL"}
    described = engine.run(task(engine.function(fail_once), Retry=[retry], ResultPath=None))
    assert len(calls) == 2
    waits = [each for each in engine.injector.injections() if each.kind == STATE_TRANSITION]
    machine = described["stateMachineArn"].rsplit(":", 1)[-1]
    assert [(each.caller, each.detail) for each in waits] == [(machine, described["name"] + "/Task")]


def test_every_change_of_status_is_told_in_order(engine: Engine) -> None:
    before = time.time()
    for definition, status in ((PASS, "SUCCEEDED"), (one_state(Type="Fail", Error="E", Cause="C"), "FAILED")):
        described = engine.run(definition, {"a": 1})
        begun, ended = (each for each in engine.told if each.execution_arn == described["executionArn"])
        assert (begun.status, begun.ended_at, begun.output, begun.error) == ("RUNNING", None, None, None)
        assert (ended.status, ended.machine_arn, ended.name) == (
            status,
            described["stateMachineArn"],
            described["name"],
        )
        assert json.loads(ended.input) == {"a": 1}
        assert ended.output == ('{"a": 1}' if status == "SUCCEEDED" else None)
        assert (ended.error, ended.cause) == (("E", "C") if status == "FAILED" else (None, None))
        assert ended.ended_at is not None
        assert before <= ended.started_at <= ended.ended_at <= time.time()


START_AND_WAIT = "arn:aws:states:::states:startExecution.sync:2"


def failover(
    engine: Engine, child: Any = None, given: Mapping[str, Any] | None = None, **answers: Callable[[Any], Any]
) -> Any:
    """Run the real machine with functions that answer as the real ones do where they agree."""
    told = {
        "TakeLease": lambda payload: {
            **payload["input"],
            "may_change": True,
            "planned": False,
            "execution": payload["execution_name"],
        },
        "CheckDrain": lambda _: {"drained": True},
        "GiveUp": lambda _: {"text": "nobody could take over"},
        **answers,
    }

    def substitute(match: re.Match[str]) -> str:
        if match[1].endswith("TimeoutSeconds"):
            return "30"
        if match[1] == "StartAndWaitResource":
            return START_AND_WAIT
        if match[1] == "TrafficShiftArn":
            return engine.machine(child or PASS)
        state = match[1].removesuffix("FunctionArn")
        return engine.function(told.get(state, lambda _: {"ok": True}), f"{state}-{engine.count}")

    definition = yaml.safe_load(re.sub(r"\$\{(\w+)\}", substitute, FAILOVER.read_text()))
    engine.calls.clear()
    described = engine.run(definition, {"scope_id": REGION, **(given or {})})
    return described, [name.rsplit("-", 1)[0] for name, _ in engine.calls]


def test_the_failover_machine_runs_whole(engine: Engine) -> None:
    described, called = failover(engine)
    assert described["status"] == "SUCCEEDED", described
    assert called == [
        "TakeLease", "ProbeStandbys", "SelectStandby", "ShiftTraffic", "VerifyServing", "RecordRoles", "ResumeRequests",
        "CheckDrain", "Quarantine", "StartRecovery", "ReleaseLease", "Announce",
    ]  # fmt: skip
    output = json.loads(described["output"])
    assert (output["execution"], output["scope_id"]) == (described["name"], REGION)


def held_back(payload: Any) -> Any:
    return {**payload["input"], "may_change": False, "planned": False, "mode": payload["input"]["mode"]}


READ_ONLY = ["TakeLease", "ProbeStandbys", "SelectStandby", "ShiftTraffic", "VerifyServing"]


@pytest.mark.parametrize(("mode", "asked"), [("preflight", ["LookAtQuotas"]), ("failover", [])])
def test_quotas_are_asked_for_in_a_preflight_and_not_by_a_failover_that_is_held_back(
    engine: Engine, mode: str, asked: list[str]
) -> None:
    described, called = failover(engine, TakeLease=held_back, given={"mode": mode})
    assert described["status"] == "SUCCEEDED", described
    assert called == [*READ_ONLY, *asked, "Announce"]


def test_a_preflight_that_cannot_read_the_quotas_tells_it_and_passes(engine: Engine) -> None:
    told: list[Any] = []

    def refuse(_: Any) -> Any:
        raise RaisedError("AccessDeniedError", "GetServiceQuota of L-1")

    described, _ = failover(
        engine, TakeLease=held_back, LookAtQuotas=refuse, Announce=told.append, given={"mode": "preflight"}
    )
    assert described["status"] == "SUCCEEDED", described
    assert told[0]["error"]["Error"] == "AccessDeniedError"
    assert "quotas" not in told[0]


def planned(payload: Any) -> Any:
    move = {"stages": [100], "bake_seconds": 0, "pause_before": [], "pause_seconds": 60, "accept_overload": False}
    more = {"token": 3, "incident_id": "i", "failed_cluster_id": "a", "reason": "r", "break_glass": "", "move": move}
    return {**payload["input"], "may_change": True, "planned": True, **more}


def test_a_planned_move_is_shifted_by_a_child_whose_output_comes_back(engine: Engine) -> None:
    shifted = {"shift": {"version": 7, "weights": {"b": 100}, "shifted_at": 1.5}}
    child = one_state(Type="Pass", Result=shifted, ResultPath="$.output", OutputPath="$.output", End=True)
    described, called = failover(engine, child, TakeLease=planned, SelectStandby=lambda _: {"cluster_id": "b"})
    assert described["status"] == "SUCCEEDED", described
    assert called == ["TakeLease", "ProbeStandbys", "SelectStandby", "RecordRoles", "ReleaseLease", "Announce"]
    assert json.loads(described["output"])["shift"] == shifted["shift"]


def test_a_child_s_failure_is_told_with_its_error_and_cause_and_ends_the_parent(engine: Engine) -> None:
    given: list[Any] = []

    def give_up(payload: Any) -> Any:
        given.append(payload["error"])
        return {"text": "told"}

    child = one_state(Type="Fail", Error="ShiftAborted", Cause="b is dead")
    described, called = failover(
        engine, child, TakeLease=planned, SelectStandby=lambda _: {"cluster_id": "b"}, GiveUp=give_up
    )
    assert (described["status"], described["error"], described["cause"]) == ("FAILED", "MoveDidNotSucceed", "told")
    assert called[-1] == "GiveUp"
    assert given[0]["Error"] == "States.TaskFailed"
    cause = json.loads(given[0]["Cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "ShiftAborted", "b is dead")


def test_a_parent_that_is_stopped_takes_its_child_along(engine: Engine) -> None:
    child = engine.machine(one_state(Type="Wait", Seconds=60, End=True))
    begun = {"StateMachineArn": child, "Input": {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"}}
    waits = one_state(Type="Task", Resource=START_AND_WAIT, Parameters=begun, TimeoutSeconds=60, End=True)
    parent = engine.machine(waits)
    execution = engine.start(parent)
    deadline = time.monotonic() + 10
    while not (children := engine.states.list_executions(stateMachineArn=child)["executions"]):
        assert time.monotonic() < deadline, "the child does not begin"
        time.sleep(0.01)
    time.sleep(0.3)  # moto cannot be stopped between the child's start and the wait for it
    engine.states.stop_execution(executionArn=execution, error="Stopped", cause="by a test")
    assert engine.wait(execution)["status"] == "ABORTED"
    assert engine.wait(children[0]["executionArn"])["status"] == "ABORTED"


def test_the_failover_machine_gives_up_with_what_it_told(engine: Engine) -> None:
    def none(_: Any) -> Any:
        raise RaisedError("NoStandbyProvenError")

    described, called = failover(engine, SelectStandby=none)
    assert (described["status"], described["error"], described["cause"]) == (
        "FAILED",
        "FailoverDidNotSucceed",
        "nobody could take over",
    )
    assert called == ["TakeLease", "ProbeStandbys", "SelectStandby", "GiveUp"]


def test_a_refusal_carries_the_function_s_own_words(engine: Engine) -> None:
    def off(_: Any) -> Any:
        raise RaisedError("AutomationOffError", "the switch says off")

    described, called = failover(engine, TakeLease=off)
    assert (described["error"], called) == ("FailoverRefused", ["TakeLease"])
    assert json.loads(described["cause"])["errorMessage"] == "the switch says off"


def test_taken_away_the_seams_are_moto_s_own_again() -> None:
    before = StepFunctionsParserBackend.start_execution
    take_away = statemachines.install(LatencyInjector(Latencies.none()), lambda _: None, Network((REGION,)))
    assert StepFunctionsParserBackend.start_execution is not before
    take_away()
    assert StepFunctionsParserBackend.start_execution is before


def test_what_a_caller_may_not_start_is_denied(engine: Engine) -> None:
    machine = engine.machine(PASS)
    role = engine.role(machine)
    client = RoleClients("a-test").client(REGION, "stepfunctions", role)
    with pytest.raises(ClientError) as refused:
        client.start_execution(stateMachineArn=machine)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert machine in refused.value.response["Error"]["Message"]
    engine.authorizer.forgive(role.split("/")[-1])
