"""State machines of the fleet in any Region. A machine cannot call another Region's: a function starts it there."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

MOST_OF_A_CAUSE = 1000
"""Characters; Step Functions takes 32,768."""


def _client_in(region: str) -> SFNClient:
    return boto3.client("stepfunctions", region_name=region, config=config(attempts=2))


class MachinesElsewhere:
    """`machine_arn(region, machine)` names a machine of the fleet; `client_in` makes a client in a Region."""

    def __init__(
        self, machine_arn: Callable[[str, str], str], client_in: Callable[[str], SFNClient] = _client_in
    ) -> None:
        self._machine_arn = machine_arn
        self._client_in = cache(client_in)

    def start(self, region: str, machine: str, name: str, payload: Mapping[str, object]) -> str:
        """Start one and return the execution's ARN; the same name once more with the same payload is the same one.

        Raises InvalidInputError where the Region has no such machine, else the errors of every call.
        """
        arn = self._machine_arn(region, machine)
        with translated(f"StartExecution {machine} in {region}"):
            try:
                answer = self._client_in(region).start_execution(
                    stateMachineArn=arn, name=name, input=json.dumps(payload, sort_keys=True)
                )
            except ClientError as error:
                match error_code(error):
                    case "ExecutionAlreadyExists":  # by this step, whose answer was lost
                        return f"{arn.replace(':stateMachine:', ':execution:')}:{name}"
                    case "StateMachineDoesNotExist":
                        raise InvalidInputError(
                            f"{region} has no {arn}; deploy template.yaml there, or leave the Region out"
                        ) from error
                    case _:
                        raise
        return answer["executionArn"]

    def describe(self, execution_arn: str) -> DescribeExecutionOutputTypeDef:
        """An execution as Step Functions tells it, in the Region that its ARN names.

        Raises InvalidInputError for one that there is not, or not any more, else the errors of every call.
        """
        region = execution_arn.split(":")[3]
        with translated(f"DescribeExecution in {region}"):
            try:
                return self._client_in(region).describe_execution(executionArn=execution_arn)
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    raise InvalidInputError(f"{region} has no execution {execution_arn}") from error
                raise

    def stop(self, execution_arn: str, cause: str) -> None:
        """Stop one; it is all right where there is none, or where it has ended."""
        region = execution_arn.split(":")[3]
        with translated(f"StopExecution in {region}"):
            try:
                self._client_in(region).stop_execution(
                    executionArn=execution_arn, error="ReleaseEnded", cause=cause[:MOST_OF_A_CAUSE]
                )
            except ClientError as error:
                if error_code(error) != "ExecutionDoesNotExist":
                    raise
