"""Pulls on Step Functions. A machine cannot call another Region's: a function starts it there, and looks at it."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import InvalidInputError
from standfast.model_ports import Pull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_stepfunctions import SFNClient


class PullMachines:
    """`machine_arn(region, machine)` names a machine of the fleet; `client_in` makes a client in a Region."""

    def __init__(
        self, machine_arn: Callable[[str, str], str], client_in: Callable[[str], SFNClient] | None = None
    ) -> None:
        self._machine_arn = machine_arn
        self._client_in = cache(client_in or _client_in)

    def start(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._start(region, "pull-model", name, payload)

    def start_replication(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._start(region, "replicate-model", name, payload)

    def look(self, execution_arn: str) -> Pull:
        region = execution_arn.split(":")[3]
        with translated(f"DescribeExecution in {region}"):
            found: Any = self._client_in(region).describe_execution(executionArn=execution_arn)
        output = json.loads(found.get("output") or "{}")
        return Pull(found["status"], output, found.get("error") or "", found.get("cause") or "")

    def _start(self, region: str, machine: str, name: str, payload: Mapping[str, object]) -> str:
        arn = self._machine_arn(region, machine)
        with translated(f"StartExecution {machine} in {region}"):
            try:
                answer = self._client_in(region).start_execution(
                    stateMachineArn=arn, name=name, input=json.dumps(payload, sort_keys=True)
                )
            except ClientError as error:
                if error_code(error) == "ExecutionAlreadyExists":
                    return f"{arn.replace(':stateMachine:', ':execution:')}:{name}"
                if error_code(error) == "StateMachineDoesNotExist":
                    raise InvalidInputError(
                        f"there is no stack of this fleet in {region}; deploy template.yaml there, or leave it out"
                    ) from error
                raise
        return answer["executionArn"]


def _client_in(region: str) -> SFNClient:
    return boto3.client("stepfunctions", region_name=region, config=config(attempts=2))
