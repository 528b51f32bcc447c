"""PullMachines on Step Functions: another Region's machine is started once, and looked at where it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from standfast.aws.machines_elsewhere import MachinesElsewhere
from standfast.aws.pulls import PullMachines
from standfast.errors import InvalidInputError
from standfast.settings import Settings

WEST = "us-west-2"
FAILOVER = "arn:aws:states:us-east-1:123456789012:stateMachine:chat-cluster-failover"
SETTINGS = Settings("us-east-1", "chat", "t", "r", FAILOVER, "", "", "", "")
ROLE = "arn:aws:iam::123456789012:role/machine"
PAYLOAD = {"model": "tiny", "version": "v1"}


@pytest.fixture
def west(aws: str) -> Iterator[Any]:
    """Step Functions in the other Region, with a machine that only succeeds."""
    client: Any = boto3.client("stepfunctions", region_name=WEST)
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    arn = client.create_state_machine(name="chat-pull-model", definition=definition, roleArn=ROLE)["stateMachineArn"]
    yield client
    client.delete_state_machine(stateMachineArn=arn)


@pytest.fixture
def pulls() -> PullMachines:
    return PullMachines(MachinesElsewhere(SETTINGS.machine_arn))


def test_machines_and_buckets_of_another_region_are_known_by_name() -> None:
    assert (
        SETTINGS.machine_arn(WEST, "pull-model") == f"arn:aws:states:{WEST}:123456789012:stateMachine:chat-pull-model"
    )
    assert SETTINGS.model_bucket(WEST) == "chat-models-123456789012-us-west-2"


def test_it_is_started_in_its_region_and_looked_at_there(west: Any, pulls: PullMachines) -> None:
    arn = pulls.start(WEST, "run-1", PAYLOAD)
    assert arn == f"arn:aws:states:{WEST}:123456789012:execution:chat-pull-model:run-1"
    assert json.loads(west.describe_execution(executionArn=arn)["input"]) == PAYLOAD
    found = pulls.look(arn)
    assert (found.is_running, found.succeeded, found.error) == (True, False, "")


def test_started_twice_it_runs_once(west: Any, pulls: PullMachines) -> None:
    assert pulls.start(WEST, "run-2", PAYLOAD) == pulls.start(WEST, "run-2", {**PAYLOAD, "trigger": "again"})


def test_one_that_failed_says_why(west: Any, pulls: PullMachines) -> None:
    arn = pulls.start(WEST, "run-3", PAYLOAD)
    west.stop_execution(executionArn=arn, error="ModelNotWhole", cause="1 missing")
    found = pulls.look(arn)
    assert (found.is_running, found.succeeded) == (False, False)


def test_a_region_without_a_stack_is_refused_with_the_mend(west: Any, pulls: PullMachines) -> None:
    with pytest.raises(InvalidInputError, match=r"eu-west-1 has no .*; deploy template\.yaml there"):
        pulls.start("eu-west-1", "run-4", PAYLOAD)
    with pytest.raises(InvalidInputError, match="us-west-2 has no"):
        pulls.start_replication(WEST, "run-5", PAYLOAD)
