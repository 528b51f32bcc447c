"""Versions of the configuration as the team works with them: syncs, what each Region has, and edits by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.plan import FLEET, SandboxError
from standfast.aws.config_table import ConfigTable
from standfast.config_adoption import pointer_text
from standfast.config_versions import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.control import ControlStack
    from standfast.config_adoption import Standing
    from standfast.config_versions import ConfigVersion

PARAMETER = f"/{FLEET}/config"
LIMIT_SECONDS = 120.0


def start(stack: ControlStack, payload: Mapping[str, object], machine: str = "SyncConfigArn") -> str:
    """Start `sync_config` as from the console of a Region. Returns the execution's ARN."""
    answer = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.outputs[machine], input=json.dumps({"by": "the sandbox", "reason": "a test", **payload})
    )
    return str(answer["executionArn"])


def wait(stack: ControlStack, arn: str) -> dict[str, Any]:
    """Wait until it ended: what Step Functions says of it."""

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = stack.client("stepfunctions").describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    found: dict[str, Any] = stack.wait_for(f"the end of {arn}", ended, LIMIT_SECONDS)
    return found


def sync(stack: ControlStack, **payload: object) -> dict[str, Any]:
    """One sync, to its end."""
    return wait(stack, start(stack, payload))


def output(execution: Mapping[str, Any]) -> dict[str, Any]:
    """The output of an execution that succeeded. Raises SandboxError with what it says where it did not."""
    if execution["status"] != "SUCCEEDED":
        raise SandboxError(f"{execution['status']}: {execution.get('error')}: {execution.get('cause')}")
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def standing(stack: ControlStack) -> Standing:
    """What is in force in a Region, and the version that was synced there."""
    return ConfigTable(stack.outputs["ClusterTableName"], stack.name, stack.client("dynamodb")).standing()


def pointer(stack: ControlStack) -> dict[str, Any]:
    """What the parameter of a Region says."""
    value = stack.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    try:
        found: dict[str, Any] = json.loads(value)
    except ValueError:
        return {}  # a hand edited it
    return found


def edit_parameter(stack: ControlStack, value: str) -> None:
    """A hand edits the parameter."""
    stack.client("ssm").put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)


def edit_item(stack: ControlStack, text: str) -> None:
    """A hand edits what is in force in the table itself, and forgets the hash."""
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["ClusterTableName"],
        Key={"pk": {"S": stack.name}, "sk": {"S": "CONFIG"}},
        UpdateExpression="SET document = :text",
        ExpressionAttributeValues={":text": {"S": text}},
    )


def edit_object(stack: ControlStack, text: str) -> None:
    """A hand overwrites the text of the version that was synced."""
    synced = standing(stack).synced
    if synced is None:
        raise SandboxError(f"no version was synced to {stack.name}")
    put_object(stack, synced.wanted, text)


def put_object(stack: ControlStack, version: ConfigVersion, text: str) -> None:
    """Whatever text, under the key of a version."""
    bucket = stack.outputs["ConfigBucketName"]
    stack.client("s3").put_object(Bucket=bucket, Key=version.key, Body=text.encode())


def read_object(stack: ControlStack) -> str:
    """The text of the version that was synced, as it is in the bucket now."""
    synced = standing(stack).synced
    if synced is None:
        raise SandboxError(f"no version was synced to {stack.name}")
    answer = stack.client("s3").get_object(Bucket=stack.outputs["ConfigBucketName"], Key=synced.wanted.key)
    text: str = answer["Body"].read().decode()
    return text


def is_as_synced(stack: ControlStack) -> bool:
    """Whether parameter, text and table all are the version that was synced."""
    found = standing(stack)
    return (
        found.synced is not None
        and pointer(stack) == json.loads(pointer_text(found.synced.wanted))
        and sha256(read_object(stack)) == found.synced.wanted.sha256
        and {sha256(found.text), found.sha256} == {found.synced.applied_sha256}
    )
