"""Moves of a Region's users as people start them: `region-failover` in a Region that stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import FLEET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.control import ControlStack

MACHINE: Final = f"{FLEET}-region-failover"


def machine_arn(stack: ControlStack) -> str:
    """The machine's ARN in this Region."""
    machines = stack.client("stepfunctions").list_state_machines(maxResults=1000)["stateMachines"]
    return str(next(each["stateMachineArn"] for each in machines if each["name"] == MACHINE))


def start(stack: ControlStack, payload: Mapping[str, object]) -> str:
    """Start it here, as from the console. Returns the execution's ARN."""
    answer = stack.client("stepfunctions").start_execution(
        stateMachineArn=machine_arn(stack), input=json.dumps(payload)
    )
    return str(answer["executionArn"])


def wait_for_end(stack: ControlStack, arn: str, seconds: float) -> Mapping[str, Any]:
    """The execution as Step Functions describes it once it ended. Raises SandboxError when the time is up."""
    states = stack.client("stepfunctions")

    def ended() -> Mapping[str, Any] | None:
        found: Mapping[str, Any] = states.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else found

    found: Mapping[str, Any] = stack.wait_for(f"the end of {arn}", ended, seconds)
    return found


def executions(stack: ControlStack) -> list[Mapping[str, Any]]:
    """All of this Region, described."""
    states = stack.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=machine_arn(stack))["executions"]
    return [states.describe_execution(executionArn=each["executionArn"]) for each in listed]


def states_entered(stack: ControlStack, arn: str) -> list[tuple[float, str]]:
    """Each state of an execution, with the second of the epoch in which it was entered."""
    history = stack.client("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)
    return [
        (event["timestamp"].timestamp(), str(event["stateEnteredEventDetails"]["name"]))
        for event in history["events"]
        if "stateEnteredEventDetails" in event
    ]


def run(stack: ControlStack, payload: Mapping[str, object], seconds: float) -> Mapping[str, Any]:
    """Start it, and wait for its end."""
    return wait_for_end(stack, start(stack, payload), seconds)
