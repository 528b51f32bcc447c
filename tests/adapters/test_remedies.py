"""Remedies by Run Command and Auto Scaling. What they do to a node is in tests/sandbox/test_remedies.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.remedies import NodeRemedies
from standfast.errors import AccessDeniedError, StandfastError
from standfast.recovery import Remedy
from standfast.recovery_ports import Applied, Progress
from standfast.xids import Action
from tests.builders import NOW

COMMAND = "11111111-1111-1111-1111-111111111111"
NODE = "i-0000000000000000a"
KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


def remedy(rung: Action) -> Remedy:
    return Remedy(f"{NODE}-{rung.value}-7", NODE, rung, NOW, "as built by a test")


@pytest.fixture
def stubbed() -> Iterator[tuple[NodeRemedies, Stubber, Stubber]]:
    ssm: Any = boto3.client("ssm", **KEYS)
    autoscaling: Any = boto3.client("autoscaling", **KEYS)
    with Stubber(ssm) as commands, Stubber(autoscaling) as groups:
        yield NodeRemedies("chat", ssm, autoscaling), commands, groups
        commands.assert_no_pending_responses()
        groups.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("rung", "document"),
    [
        (Action.RESTART_ENGINE, "chat-restart-engine"),
        (Action.RESET_GPU, "chat-reset-gpu"),
        (Action.REBOOT, "chat-reboot-node"),
    ],
)
def test_a_rung_is_a_document_of_ours_sent_to_the_one_node_under_the_remedys_name(
    stubbed: tuple[NodeRemedies, Stubber, Stubber], rung: Action, document: str
) -> None:
    remedies, commands, _ = stubbed
    expected = {
        "DocumentName": document,
        "InstanceIds": [NODE],
        "Parameters": {"Remedy": [f"{NODE}-{rung.value}-7"]},
        "TimeoutSeconds": 30,
    }
    commands.add_response("send_command", {"Command": {"CommandId": COMMAND}}, expected)
    assert remedies.apply(remedy(rung)) == Applied(remedy(rung), COMMAND)


def test_a_replacement_is_auto_scalings_and_keeps_the_capacity(stubbed: tuple[NodeRemedies, Stubber, Stubber]) -> None:
    remedies, _, groups = stubbed
    expected = {"InstanceId": NODE, "ShouldDecrementDesiredCapacity": False}
    groups.add_response("terminate_instance_in_auto_scaling_group", {}, expected)
    applied = remedies.apply(remedy(Action.REPLACE))
    assert remedies.progress(applied) == Progress(True, "Auto Scaling replaces it")


def test_a_node_that_cannot_be_reached_or_replaced_is_said_and_ends(
    stubbed: tuple[NodeRemedies, Stubber, Stubber],
) -> None:
    remedies, commands, groups = stubbed
    commands.add_client_error("send_command", "InvalidInstanceId", http_status_code=400)
    applied = remedies.apply(remedy(Action.REBOOT))
    assert remedies.progress(applied) == Progress(True, "Systems Manager does not reach the node")
    groups.add_client_error("terminate_instance_in_auto_scaling_group", "ValidationError", "it is in no group", 400)
    applied = remedies.apply(remedy(Action.REPLACE))
    assert remedies.progress(applied) == Progress(True, "Auto Scaling does not replace it: it is in no group")


def test_a_missing_permission_is_named(stubbed: tuple[NodeRemedies, Stubber, Stubber]) -> None:
    remedies, commands, groups = stubbed
    commands.add_client_error("send_command", "AccessDeniedException", "no", 400)
    with pytest.raises(AccessDeniedError, match=f"SendCommand to {NODE}"):
        remedies.apply(remedy(Action.REBOOT))
    groups.add_client_error("terminate_instance_in_auto_scaling_group", "ScalingActivityInProgress", "no", 400)
    with pytest.raises(StandfastError, match="TerminateInstanceInAutoScalingGroup"):
        remedies.apply(remedy(Action.REPLACE))


@pytest.mark.parametrize(
    ("status", "details", "output", "progress"),
    [
        ("InProgress", "InProgress", "", Progress(False, "it is on its way")),
        ("Success", "Success", "stopped\nthe GPUs were reset\n", Progress(True, "the GPUs were reset")),
        ("Failed", "Failed", "the GPUs were not reset", Progress(True, "Failed: the GPUs were not reset", failed=True)),
        ("TimedOut", "DeliveryTimedOut", "", Progress(True, "DeliveryTimedOut: it said nothing", failed=True)),
    ],
)
def test_how_far_a_command_is(
    stubbed: tuple[NodeRemedies, Stubber, Stubber], status: str, details: str, output: str, progress: Progress
) -> None:
    remedies, commands, _ = stubbed
    plugins = [{"Name": "aws:runShellScript", "Output": output}] if output else []
    found = {"InstanceId": NODE, "Status": status, "StatusDetails": details, "CommandPlugins": plugins}
    commands.add_response(
        "list_command_invocations", {"CommandInvocations": [found]}, {"CommandId": COMMAND, "Details": True}
    )
    assert remedies.progress(Applied(remedy(Action.REBOOT), COMMAND)) == progress


def test_a_command_that_is_not_known_yet_is_on_its_way(stubbed: tuple[NodeRemedies, Stubber, Stubber]) -> None:
    remedies, commands, _ = stubbed
    commands.add_client_error("list_command_invocations", "InvalidCommandId", http_status_code=400)
    commands.add_response("list_command_invocations", {"CommandInvocations": []})
    for _ in range(2):
        assert not remedies.progress(Applied(remedy(Action.REBOOT), COMMAND)).ended
