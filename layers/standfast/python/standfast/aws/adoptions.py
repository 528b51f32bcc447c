"""Adoptions: executions of `adopt_config` in any Region of the fleet, under the stack there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from standfast.config_sync import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.aws.machines_elsewhere import MachinesElsewhere

MACHINE = "adopt-config"


class RegionalAdoptions:
    """Over the fleet's machines in every Region."""

    def __init__(self, machines: MachinesElsewhere) -> None:
        self._machines = machines

    def ask(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, MACHINE, name, payload)

    def progress(self, execution_arn: str) -> Outcome:
        found = self._machines.describe(execution_arn)
        if found["status"] in ("RUNNING", "PENDING_REDRIVE"):
            return Outcome(ended=False)
        answer = json.loads(found["output"]) if found["status"] == "SUCCEEDED" else None
        return Outcome(True, answer, found.get("error", found["status"]), found.get("cause", ""))
