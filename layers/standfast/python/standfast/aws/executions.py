"""Executions on Step Functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import TransientError
from standfast.lease import HolderState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_stepfunctions import SFNClient

_GONE = frozenset({"ExecutionDoesNotExist", "InvalidArn"})
"""No such execution any more, or a holder that never was one: whoever wrote it cannot be at work."""
_NOBODY_WAITS = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})


class StepFunctions:
    """Starts `cluster_failover`, `cluster_recovery` and `region_failover`, and says whether a holder runs."""

    def __init__(
        self,
        failover_arn: str,
        client: SFNClient | None = None,
        *,
        recovery_arn: str = "",
        region_failover_arn: str = "",
    ) -> None:
        self._failover_arn = failover_arn
        self._recovery_arn = recovery_arn
        self._region_failover_arn = region_failover_arn
        self._client = client or boto3.client("stepfunctions", config=config(attempts=2))

    def holder_state(self, execution_arn: str) -> HolderState:
        """Ended for an execution that Step Functions has forgotten too: it keeps them for 90 days after the end."""
        try:
            with translated("DescribeExecution"):
                try:
                    status = self._client.describe_execution(executionArn=execution_arn)["status"]
                except ClientError as error:
                    if error_code(error) in _GONE:
                        return HolderState.ENDED
                    raise
        except TransientError:
            return HolderState.UNKNOWN
        return HolderState.RUNNING if status in ("RUNNING", "PENDING_REDRIVE") else HolderState.ENDED

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        return bool(self._start(self._failover_arn, name, payload))

    def start_recovery(self, name: str, payload: Mapping[str, object]) -> str:
        return self._start(self._recovery_arn, name, payload)

    def start_region_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        return bool(self._start(self._region_failover_arn, name, payload))

    def _start(self, machine_arn: str, name: str, payload: Mapping[str, object]) -> str:
        """The ARN of the execution, empty when there is one of that name."""
        with translated("StartExecution"):
            try:
                answer = self._client.start_execution(
                    stateMachineArn=machine_arn, name=name, input=json.dumps(payload, sort_keys=True)
                )
            except ClientError as error:
                if error_code(error) == "ExecutionAlreadyExists":
                    return ""
                raise
        return answer["executionArn"]


class TaskCallbacks:
    """Callbacks on Step Functions."""

    def __init__(self, client: SFNClient | None = None) -> None:
        self._client = client or boto3.client("stepfunctions", config=config(attempts=2))

    def succeed(self, task_token: str, output: Mapping[str, object]) -> bool:
        with translated("SendTaskSuccess"):
            try:
                self._client.send_task_success(taskToken=task_token, output=json.dumps(output, sort_keys=True))
            except ClientError as error:
                if error_code(error) in _NOBODY_WAITS:
                    return False
                raise
        return True
