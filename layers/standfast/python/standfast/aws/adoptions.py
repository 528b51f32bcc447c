"""Adoptions: executions of `adopt_config` in any Region of the fleet, under the stack there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.config_sync import Outcome
from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_stepfunctions import SFNClient


MACHINE = "adopt-config"


def _client(region: str) -> SFNClient:
    return boto3.client("stepfunctions", region_name=region, config=config(attempts=2))


class RegionalAdoptions:
    """`machine_arn(region, name)` is the ARN of a machine of the stack in a Region."""

    def __init__(self, machine_arn: Callable[[str, str], str], client: Callable[[str], SFNClient] = _client) -> None:
        self._machine_arn = machine_arn
        self._make = client
        self._clients: dict[str, SFNClient] = {}

    def ask(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        machine = self._machine_arn(region, MACHINE)
        with translated(f"StartExecution in {region}"):
            try:
                answer = self._client(region).start_execution(
                    stateMachineArn=machine, name=name, input=json.dumps(payload, sort_keys=True)
                )
            except ClientError as error:
                match error_code(error):
                    case "ExecutionAlreadyExists":  # by this step, whose answer was lost
                        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
                    case "StateMachineDoesNotExist":
                        raise InvalidInputError(f"{region} has no {machine}; deploy Standfast's stack there") from error
                    case _:
                        raise
        return answer["executionArn"]

    def progress(self, region: str, execution_arn: str) -> Outcome:
        with translated(f"DescribeExecution in {region}"):
            found = self._client(region).describe_execution(executionArn=execution_arn)
        if found["status"] in ("RUNNING", "PENDING_REDRIVE"):
            return Outcome(ended=False)
        answer = json.loads(found["output"]) if found["status"] == "SUCCEEDED" else None
        return Outcome(True, answer, found.get("error", found["status"]), found.get("cause", ""))

    def _client(self, region: str) -> SFNClient:
        if region not in self._clients:
            self._clients[region] = self._make(region)
        return self._clients[region]
