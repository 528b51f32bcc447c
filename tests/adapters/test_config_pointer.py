"""The parameter that names the version in force, and the executions that are asked in other Regions."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.adoptions import RegionalAdoptions
from standfast.aws.config_pointer import ConfigParameter
from standfast.aws.machines_elsewhere import MachinesElsewhere
from standfast.config_adoption import pointer_text
from standfast.config_sync import Outcome
from standfast.config_versions import ConfigVersion
from standfast.errors import AccessDeniedError, InvalidInputError, StandfastError

NAME, WEST = "/standfast/config", "us-west-2"
V7 = ConfigVersion(7, "7" * 64)
ARN = "arn:aws:states:{}:123456789012"
IN_WEST = f"{ARN.format(WEST)}:stateMachine:standfast-adopt-config"
EXECUTION = f"{ARN.format(WEST)}:execution:standfast-adopt-config:sync-1"


def test_a_parameter_says_version_hash_and_key(aws: str) -> None:
    ssm = boto3.client("ssm", region_name=aws)
    pointer = ConfigParameter(NAME, ssm)
    assert pointer.read_pointer() is None
    pointer.write_pointer(ConfigVersion(6, "6" * 64))
    pointer.write_pointer(V7)
    assert pointer.read_pointer() == pointer_text(V7)
    assert json.loads(pointer_text(V7)) == {"version": 7, "sha256": V7.sha256, "key": V7.key}


def test_a_parameter_that_may_not_be_read_is_not_taken_for_none(aws: str) -> None:
    ssm = boto3.client("ssm", region_name=aws)
    with Stubber(ssm) as stub:
        stub.add_client_error("get_parameter", "AccessDeniedException")
        with pytest.raises(AccessDeniedError):
            ConfigParameter(NAME, ssm).read_pointer()


def adoptions(states: Any, asked: list[str]) -> RegionalAdoptions:
    def client(region: str) -> Any:
        asked.append(region)
        return states

    machines = MachinesElsewhere(lambda region, name: f"{ARN.format(region)}:stateMachine:standfast-{name}", client)
    return RegionalAdoptions(machines)


def test_a_region_is_asked_by_the_machine_of_its_own_stack(aws: str) -> None:
    states, asked = boto3.client("stepfunctions", region_name=aws), list[str]()
    expected = {"stateMachineArn": IN_WEST, "name": "sync-1", "input": '{"version": 7}'}
    with Stubber(states) as stub:
        stub.add_response("start_execution", {"executionArn": EXECUTION, "startDate": 0}, expected)
        assert adoptions(states, asked).ask(WEST, "sync-1", {"version": 7}) == EXECUTION
    assert asked == [WEST]


def test_a_repeated_question_is_the_same_execution(aws: str) -> None:
    states = boto3.client("stepfunctions", region_name=aws)
    with Stubber(states) as stub:
        stub.add_client_error("start_execution", "ExecutionAlreadyExists")
        assert adoptions(states, []).ask(WEST, "sync-1", {}) == EXECUTION


def test_a_region_without_a_stack_is_named_with_the_mend(aws: str) -> None:
    states = boto3.client("stepfunctions", region_name=aws)
    with Stubber(states) as stub:
        stub.add_client_error("start_execution", "StateMachineDoesNotExist")
        with pytest.raises(InvalidInputError, match=f"{WEST} has no .*; deploy template.yaml there"):
            adoptions(states, []).ask(WEST, "sync-1", {})


@pytest.mark.parametrize(
    ("described", "outcome"),
    [
        ({"status": "RUNNING"}, Outcome(False)),
        ({"status": "SUCCEEDED", "output": '{"state": "adopted"}'}, Outcome(True, {"state": "adopted"}, "SUCCEEDED")),
        ({"status": "FAILED", "error": "ConfigRefused", "cause": "no"}, Outcome(True, None, "ConfigRefused", "no")),
        ({"status": "TIMED_OUT"}, Outcome(True, None, "TIMED_OUT")),
        ({"status": "ABORTED"}, Outcome(True, None, "ABORTED")),
    ],
)
def test_an_execution_says_how_it_stands(aws: str, described: dict[str, Any], outcome: Outcome) -> None:
    states = boto3.client("stepfunctions", region_name=aws)
    answer = {"executionArn": EXECUTION, "stateMachineArn": IN_WEST, "startDate": 0, **described}
    with Stubber(states) as stub:
        stub.add_response("describe_execution", answer, {"executionArn": EXECUTION})
        assert adoptions(states, []).progress(EXECUTION) == outcome


def test_an_execution_that_is_not_there_is_an_error(aws: str) -> None:
    states = boto3.client("stepfunctions", region_name=aws)
    with Stubber(states) as stub:
        stub.add_client_error("describe_execution", "ExecutionDoesNotExist")
        with pytest.raises(StandfastError):
            adoptions(states, []).progress(EXECUTION)
