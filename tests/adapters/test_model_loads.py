"""A version is loaded by our document, on one node; a replica is taken out and brought back by its own id."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.model_loads import UpdateModelCommands
from standfast.aws.replica_targets import TargetsByReplica
from standfast.errors import StandfastError
from standfast.recovery_ports import Progress
from standfast.rollout_ports import ModelLoad
from tests.builders import ACTIVE, target_group_arn

KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
COMMAND = "11111111-1111-1111-1111-111111111111"
NODE = "i-0000000000000000a"
LOAD = ModelLoad("use1-a-t4-to", NODE, "chat-models", "models/tiny/v8/", "manifests/tiny/v8.json", "0" * 64)
SENT = {
    "DocumentName": "chat-update-model",
    "InstanceIds": [NODE],
    "Parameters": {
        "Load": ["use1-a-t4-to"],
        "Bucket": ["chat-models"],
        "Prefix": ["models/tiny/v8/"],
        "Manifest": ["manifests/tiny/v8.json"],
        "ManifestSha256": ["0" * 64],
    },
    "TimeoutSeconds": 30,
}
GROUP = target_group_arn(ACTIVE)


def test_a_load_is_sent_to_one_node_with_what_it_is_to_be() -> None:
    ssm: Any = boto3.client("ssm", **KEYS)
    with Stubber(ssm) as commands:
        commands.add_response("send_command", {"Command": {"CommandId": COMMAND}}, SENT)
        assert UpdateModelCommands("chat-update-model", ssm).send(LOAD) == COMMAND
        commands.add_client_error("send_command", "InvalidInstanceId")
        assert UpdateModelCommands("chat-update-model", ssm).send(LOAD) == ""


def test_its_end_is_told_with_what_the_script_said_last() -> None:
    ssm: Any = boto3.client("ssm", **KEYS)
    loads = UpdateModelCommands("chat-update-model", ssm)
    asked = {"CommandId": COMMAND, "Details": True}
    with Stubber(ssm) as commands:
        for status, output, found in (
            ("InProgress", "", Progress(ended=False, said="it is on its way")),
            ("Success", "one\ntwo\n", Progress(ended=True, said="two")),
            ("Failed", "a.gguf is damaged\n", Progress(ended=True, said="Failed: a.gguf is damaged", failed=True)),
            ("TimedOut", "", Progress(ended=True, said="TimedOut: it said nothing", failed=True)),
        ):
            invocation = {"Status": status, "StatusDetails": status, "CommandPlugins": [{"Output": output}]}
            commands.add_response("list_command_invocations", {"CommandInvocations": [invocation]}, asked)
            assert loads.progress(COMMAND) == found


def test_replicas_are_told_apart_by_instance_and_port() -> None:
    elb: Any = boto3.client("elbv2", **KEYS)
    targets = TargetsByReplica(elb)
    described = [
        {"Target": {"Id": NODE, "Port": 8000}, "TargetHealth": {"State": "healthy"}},
        {"Target": {"Id": NODE, "Port": 8001}, "TargetHealth": {"State": "draining"}},
    ]
    one = {"TargetGroupArn": GROUP, "Targets": [{"Id": NODE, "Port": 8001}]}
    with Stubber(elb) as calls:
        calls.add_response("describe_target_health", {"TargetHealthDescriptions": described}, {"TargetGroupArn": GROUP})
        assert targets.states(GROUP) == {f"{NODE}:8000": "healthy", f"{NODE}:8001": "draining"}
        calls.add_response("deregister_targets", {}, one)
        targets.take_out(GROUP, f"{NODE}:8001")
        calls.add_response("register_targets", {}, one)
        targets.bring_back(GROUP, f"{NODE}:8001")


def test_a_replica_that_is_no_target_any_more_is_out() -> None:
    elb: Any = boto3.client("elbv2", **KEYS)
    with Stubber(elb) as calls:
        calls.add_client_error("deregister_targets", "InvalidTarget")
        TargetsByReplica(elb).take_out(GROUP, f"{NODE}:8001")
        calls.assert_no_pending_responses()


def test_a_target_group_that_is_gone_is_no_replica_that_is_out() -> None:
    elb: Any = boto3.client("elbv2", **KEYS)
    with Stubber(elb) as calls:
        calls.add_client_error("deregister_targets", "TargetGroupNotFound")
        with pytest.raises(StandfastError, match="TargetGroupNotFound"):
            TargetsByReplica(elb).take_out(GROUP, f"{NODE}:8001")
