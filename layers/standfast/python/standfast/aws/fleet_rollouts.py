"""Rollouts of clusters on Step Functions, in any Region of the fleet, under the stack there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from standfast.config_sync import Outcome
from standfast.errors import InvalidInputError, TransientError
from standfast.lease import HolderState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from standfast.aws.machines_elsewhere import MachinesElsewhere
    from standfast.release_waves import Way

_AT_WORK = frozenset({"RUNNING", "PENDING_REDRIVE"})


class RegionalRollouts:
    """Over the fleet's machines in every Region."""

    def __init__(self, machines: MachinesElsewhere, machine_arn: Callable[[str, str], str]) -> None:
        self._machines = machines
        self._machine_arn = machine_arn

    def arn(self, region: str, way: Way, name: str) -> str:
        return f"{self._machine_arn(region, way.machine).replace(':stateMachine:', ':execution:')}:{name}"

    def start(self, region: str, way: Way, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, way.machine, name, payload)

    def progress(self, execution_arn: str) -> Outcome:
        found = self._machines.describe(execution_arn)
        if found["status"] in _AT_WORK:
            return Outcome(ended=False)
        output = json.loads(found["output"]) if found["status"] == "SUCCEEDED" else None
        return Outcome(True, output, found.get("error") or found["status"], found.get("cause") or "")

    def stop(self, execution_arn: str, cause: str) -> None:
        self._machines.stop(execution_arn, cause)

    def holder_state(self, execution_arn: str) -> HolderState:
        try:
            status = self._machines.describe(execution_arn)["status"]
        except TransientError:
            return HolderState.UNKNOWN
        except InvalidInputError:
            return HolderState.ENDED
        return HolderState.RUNNING if status in _AT_WORK else HolderState.ENDED
