"""Executions on Step Functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from standfast.aws.executions import StepFunctions
from standfast.errors import AccessDeniedError, StandfastError, ThrottledError, UnavailableError
from standfast.lease import HolderState
from tests.builders import EXECUTION

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:cluster-failover"


@pytest.fixture(scope="module")
def machine(aws: str) -> tuple[Any, str]:
    """A client and the ARN of a state machine whose executions run until they are stopped."""
    client: Any = boto3.client("stepfunctions", region_name=aws)
    role = "arn:aws:iam::123456789012:role/any"
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    made = client.create_state_machine(name="cluster-failover", definition=definition, roleArn=role)
    return client, str(made["stateMachineArn"])


@pytest.fixture
def stubbed() -> Iterator[tuple[StepFunctions, Stubber]]:
    client: Any = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    with Stubber(client) as stubber:
        yield StepFunctions(MACHINE, client), stubber


def test_a_failover_is_started_once_under_its_name(machine: tuple[Any, str]) -> None:
    client, arn = machine
    executions = StepFunctions(arn, client)
    assert executions.start_failover("one-incident", {"mode": "failover", "b": 1})
    assert not executions.start_failover("one-incident", {"mode": "failover", "b": 2})
    started = client.list_executions(stateMachineArn=arn)["executions"]
    assert [execution["name"] for execution in started] == ["one-incident"]
    given = client.describe_execution(executionArn=started[0]["executionArn"])["input"]
    assert json.loads(given) == {"mode": "failover", "b": 1}


def test_a_recovery_is_started_once_under_its_name_by_a_machine_of_its_own(machine: tuple[Any, str]) -> None:
    client, arn = machine
    executions = StepFunctions("no machine", client, recovery_arn=arn)
    started = executions.start_recovery("use1-a-v7-r0", {"cluster_id": "use1-a"})
    assert started.endswith(":use1-a-v7-r0")
    assert executions.start_recovery("use1-a-v7-r0", {"cluster_id": "use1-a", "again": True}) == ""


def test_a_running_holder_runs_until_it_is_stopped(machine: tuple[Any, str]) -> None:
    client, arn = machine
    holder = client.start_execution(stateMachineArn=arn, name="a-holder")["executionArn"]
    executions = StepFunctions(arn, client)
    assert executions.holder_state(holder) is HolderState.RUNNING
    client.stop_execution(executionArn=holder)
    assert executions.holder_state(holder) is HolderState.ENDED


def test_an_execution_that_is_forgotten_has_ended(machine: tuple[Any, str]) -> None:
    client, arn = machine
    assert StepFunctions(arn, client).holder_state(EXECUTION) is HolderState.ENDED


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("RUNNING", HolderState.RUNNING),
        ("PENDING_REDRIVE", HolderState.RUNNING),
        ("SUCCEEDED", HolderState.ENDED),
        ("FAILED", HolderState.ENDED),
        ("TIMED_OUT", HolderState.ENDED),
        ("ABORTED", HolderState.ENDED),
    ],
)
def test_every_status_is_running_or_ended(
    stubbed: tuple[StepFunctions, Stubber], status: str, state: HolderState
) -> None:
    executions, stubber = stubbed
    answer = {"executionArn": EXECUTION, "stateMachineArn": MACHINE, "status": status, "startDate": 0}
    stubber.add_response("describe_execution", answer)
    assert executions.holder_state(EXECUTION) is state


@pytest.mark.parametrize("code", ["ExecutionDoesNotExist", "InvalidArn"])
def test_a_holder_that_is_no_execution_has_ended(stubbed: tuple[StepFunctions, Stubber], code: str) -> None:
    executions, stubber = stubbed
    stubber.add_client_error("describe_execution", code, "no such thing", 400)
    assert executions.holder_state("a person at the console") is HolderState.ENDED


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalError", 500)])
def test_a_holder_that_cannot_be_asked_about_is_unknown(
    stubbed: tuple[StepFunctions, Stubber], code: str, status: int
) -> None:
    executions, stubber = stubbed
    stubber.add_client_error("describe_execution", code, "later", status)
    assert executions.holder_state(EXECUTION) is HolderState.UNKNOWN


def test_a_holder_without_an_answer_is_unknown(machine: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(**_arguments: object) -> None:
        raise ConnectTimeoutError(endpoint_url="https://states")

    client, arn = machine
    monkeypatch.setattr(client, "describe_execution", no_answer)
    assert StepFunctions(arn, client).holder_state(EXECUTION) is HolderState.UNKNOWN


def test_a_missing_permission_is_said_and_not_taken_for_unknown(stubbed: tuple[StepFunctions, Stubber]) -> None:
    executions, stubber = stubbed
    stubber.add_client_error("describe_execution", "AccessDeniedException", "not allowed", 400)
    with pytest.raises(AccessDeniedError, match="DescribeExecution: AccessDeniedException: not allowed"):
        executions.holder_state(EXECUTION)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, ThrottledError),
        ("InternalError", 500, UnavailableError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("StateMachineDoesNotExist", 400, StandfastError),
    ],
)
def test_a_start_that_fails_is_an_error_and_never_a_no(
    stubbed: tuple[StepFunctions, Stubber], code: str, status: int, error: type[StandfastError]
) -> None:
    executions, stubber = stubbed
    stubber.add_client_error("start_execution", code, "as AWS says it", status)
    with pytest.raises(error, match=f"StartExecution: {code}") as caught:
        executions.start_failover("one", {})
    assert type(caught.value) is error
