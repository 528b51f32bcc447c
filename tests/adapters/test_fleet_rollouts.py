"""RegionalRollouts on Step Functions: started once in another Region, looked at, and stopped there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from standfast.aws.fleet_rollouts import RegionalRollouts
from standfast.aws.machines_elsewhere import MachinesElsewhere
from standfast.errors import InvalidInputError
from standfast.lease import HolderState
from standfast.release_waves import Way
from standfast.settings import Settings

WEST = "us-west-2"
FAILOVER = "arn:aws:states:us-east-1:123456789012:stateMachine:chat-cluster-failover"
SETTINGS = Settings("us-east-1", "chat", "t", "r", FAILOVER, "", "", "", "")
ROLE = "arn:aws:iam::123456789012:role/machine"


@pytest.fixture
def west(aws: str) -> Iterator[Any]:
    client: Any = boto3.client("stepfunctions", region_name=WEST)
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    arn = client.create_state_machine(name="chat-rolling-update", definition=definition, roleArn=ROLE)
    yield client
    client.delete_state_machine(stateMachineArn=arn["stateMachineArn"])


def test_a_surge_is_started_once_there_by_the_rolling_machine_and_can_be_stopped(west: Any) -> None:
    rollouts = RegionalRollouts(MachinesElsewhere(SETTINGS.machine_arn), SETTINGS.machine_arn)
    arn = rollouts.arn(WEST, Way.SURGE, "release-1")
    rollouts.stop(arn, "it never began")
    assert rollouts.holder_state(arn) is HolderState.ENDED
    for _ in range(2):
        assert rollouts.start(WEST, Way.SURGE, "release-1", {"surge": True}) == arn
    assert (rollouts.progress(arn).ended, rollouts.holder_state(arn)) == (False, HolderState.RUNNING)
    rollouts.stop(arn, "another one failed")
    rollouts.stop(arn, "once more")
    ended = rollouts.progress(arn)
    assert (ended.ended, ended.output) == (True, None)
    assert rollouts.holder_state(arn) is HolderState.ENDED
    with pytest.raises(InvalidInputError, match=r"us-west-2 has no .*chat-blue-green-deployment"):
        rollouts.start(WEST, Way.BLUE_GREEN, "release-1", {})
