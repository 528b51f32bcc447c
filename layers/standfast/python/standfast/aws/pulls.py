"""Pulls on Step Functions: `pull_model` in any Region, `replicate_model`, `rolling_update`, `fleet_release`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from standfast.model_ports import Pull

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.aws.machines_elsewhere import MachinesElsewhere


class PullMachines:
    """Over the fleet's machines in every Region."""

    def __init__(self, machines: MachinesElsewhere) -> None:
        self._machines = machines

    def start(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, "pull-model", name, payload)

    def start_replication(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, "replicate-model", name, payload)

    def start_canary(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, "rolling-update", name, payload)

    def start_release(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        return self._machines.start(region, "fleet-release", name, payload)

    def look(self, execution_arn: str) -> Pull:
        found = self._machines.describe(execution_arn)
        output = json.loads(found.get("output") or "{}")
        return Pull(found["status"], output, found.get("error") or "", found.get("cause") or "")
