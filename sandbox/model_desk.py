"""What a person who looks after models does, in any Region: upload, register, replicate, look at what is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.plan import FLEET
from standfast.aws.model_table import ModelTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.control import ControlStack
    from standfast.model_states import ModelRecord

LIMIT_SECONDS = 120.0


def upload(stack: ControlStack, prefix: str, files: Mapping[str, bytes]) -> None:
    """Upload a model's folder, as boto3 does: with CRC32, which is not the checksum that copies are held to."""
    for path, body in files.items():
        stack.client("s3").put_object(Bucket=stack.outputs["ModelBucketName"], Key=prefix + path, Body=body)


def run(stack: ControlStack, machine: str, payload: Mapping[str, object], seconds: float = LIMIT_SECONDS) -> Any:
    """Run `register_model`, `replicate_model` or `pull_model` to its end, and give what Step Functions says of it."""
    stepfunctions = stack.client("stepfunctions")
    machines = stepfunctions.list_state_machines()["stateMachines"]
    (arn,) = [each["stateMachineArn"] for each in machines if each["name"] == f"{FLEET}-{machine}"]
    execution = stepfunctions.start_execution(stateMachineArn=arn, input=json.dumps(payload))["executionArn"]

    def ended() -> Any:
        found = stepfunctions.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    return stack.wait_for(f"the end of {machine}", ended, seconds)


def output(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What an execution that succeeded answered."""
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def record(stack: ControlStack, model: str, version: str) -> ModelRecord | None:
    """The model's state in a Region, read as the functions read it."""
    table = ModelTable(stack.outputs["ClusterTableName"], stack.name, stack.client("dynamodb"))
    return table.read_model(model, version)


def folder(stack: ControlStack, prefix: str) -> dict[str, bytes]:
    """Every object under a prefix in a Region's model bucket, path -> content."""
    s3, bucket = stack.client("s3"), stack.outputs["ModelBucketName"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return {key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
