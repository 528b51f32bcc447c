"""Executions that die: stopped as a person or AWS stops them, so that no Catch runs, and their workers with them.

While a kill is waited for, the step from state to state takes longer, so that it falls where it is meant; once the
state in question has begun, `LEAVING_SECONDS`.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import FLEET, SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.aws.cloud import Cloud
    from sandbox.region import SandboxRegion

TRANSITION_SECONDS: Final = 0.5
LEAVING_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.05
"""Seldom enough to leave AWS, which is this process, to those who work."""
LIMIT_SECONDS: Final = 120.0
WORKERS: Final = (
    "take-lease", "probe-standbys", "select-standby", "shift-traffic", "verify-serving", "record-roles",
    "resume-requests", "check-drain", "quarantine", "release-lease", "announce", "give-up", "plan-shift", "shift-stage",
    "judge-stage", "abort-shift",
)  # fmt: skip
"""The functions of `cluster_failover` and of `traffic_shift`, its child."""


@contextmanager
def slow_transitions(cloud: Cloud, seconds: float = TRANSITION_SECONDS) -> Iterator[None]:
    """Every step from one state to the next takes so long."""
    usual = cloud.latency.latencies
    cloud.latency.latencies = replace(usual, state_transition=seconds)
    try:
        yield
    finally:
        cloud.latency.latencies = usual


def history(region: SandboxRegion, arn: str) -> Sequence[Mapping[str, Any]]:
    """The events of an execution so far, oldest first."""
    found: Sequence[Mapping[str, Any]] = region.client("stepfunctions").get_execution_history(
        executionArn=arn, maxResults=1000
    )["events"]
    return found


def left(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The states that were left, in order."""
    return [event["stateExitedEventDetails"]["name"] for event in events if "stateExitedEventDetails" in event]


def entered(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The states that were begun, in order."""
    return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def last_data(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state of the machine as it was last known: the input of the latest state, or what the one before answered."""
    for event in reversed(events):
        found = event.get("stateExitedEventDetails", {}).get("output") or event.get("stateEnteredEventDetails", {}).get(
            "input"
        )
        if found:
            data: dict[str, Any] = json.loads(found)
            return data
    return {}


def child_of(region: SandboxRegion, parent: str) -> str:
    """The execution of `traffic_shift` that a planned move waits for. Raises SandboxError when it ended without one."""
    machine = region.outputs["ClusterFailoverArn"].rpartition(":")[0] + f":{FLEET}-traffic-shift"
    states = region.client("stepfunctions")
    wait_for_state(region, parent, "ShiftByStages", is_over=False)

    def begun() -> str:
        for each in states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
            arn = str(each["executionArn"])
            if json.loads(states.describe_execution(executionArn=arn)["input"]).get("holder") == parent:
                return arn
        return ""

    return str(region.wait_for("the child", begun, LIMIT_SECONDS))


def wait_for_state(region: SandboxRegion, arn: str, state: str, *, is_over: bool) -> None:
    """Until the execution has left a state, or has entered it. Raises SandboxError when it ended without."""
    deadline = time.monotonic() + LIMIT_SECONDS
    seen = left if is_over else entered
    while state not in (names := seen(history(region, arn))):
        if region.execution(arn)["status"] != "RUNNING" or time.monotonic() > deadline:
            raise SandboxError(f"{arn} did not come to {state}: {', '.join(names)}")
        time.sleep(POLL_SECONDS)


def kill(region: SandboxRegion, arn: str) -> bool:
    """Stop an execution with its child, and kill all workers. False when it had ended by itself."""
    workers = [region.function_arn(function) for function in WORKERS]
    region.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="its controller dies")
    for worker in workers:
        region.cloud.environments.stop(worker, active=True)
    return str(region.wait_for_end(arn)["status"]) == "ABORTED"
