"""`failover-fault`: every Task of `cluster_failover` meets every fault of AWS, and none ends half-way.

The traffic is moved by hand from a cluster that is well, because what is looked at is the end of the execution, not its
speed. A fault that passes (throttle, time-out, a lost response) lasts as long as the SDK's own tries, so that the state
machine's retry meets a service that is well; access denied stays until the execution has ended. GiveUp is reached by
denying SelectStandby.

What counts as half-way, `sandbox.ends` says.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.aws.faults import FaultKind
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "failover-fault"
TASKS: Final = (
    "TakeLease", "ProbeStandbys", "SelectStandby", "ShiftTraffic", "VerifyServing", "RecordRoles", "ResumeRequests",
    "CheckDrain", "Quarantine", "StartRecovery", "ReleaseLease", "Announce", "GiveUp",
)  # fmt: skip
PASSING_CALLS: Final = 3
"""The SDK tries three times; what it cannot get over is left to the state machine."""
LIMIT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One Task with one fault: how it ended, and what is wrong with that."""

    task: str
    fault: str
    met: int
    status: str
    weights: Mapping[str, int]
    roles: Mapping[str, str]
    half_way: tuple[str, ...]

    def __str__(self) -> str:
        serves = ", ".join(cluster_id for cluster_id, weight in sorted(self.weights.items()) if weight)
        end = f"HALF-WAY: {'; '.join(self.half_way)}" if self.half_way else f"traffic on {serves}, told"
        return f"{self.task} x {self.fault} (met {self.met} times): {self.status}, {end}"


def run(stage: Stage) -> Report:
    """Every row, each mended before the next."""
    from sandbox.aws.faults import FaultKind
    from sandbox.witness import Witness

    region = stage.region
    whole = Witness(region)
    rows: list[Row] = []
    timeline: list[Moment] = []
    for task in TASKS:
        for kind in FaultKind:
            row = _row(region, task, kind)
            rows.append(row)
            timeline.append(Moment(round(time.time() - whole.began_at, 3), task, str(row)))
            stage.say(f"{len(rows)} of {len(TASKS) * len(FaultKind)}: {row}")
            for role in {denial.role for denial in region.cloud.denials()}:
                region.cloud.forgive(role)  # provoked: the fault is the denial
            region.restore()
    dark = [change for change in whole.rule_changes() if not any(change.weights.values())]
    figures = {
        "rows": len(rows),
        "half_way_ends": sum(bool(row.half_way) for row in rows),
        "zero_weight_moments": len(dark),
        "succeeded": sum(row.status == "SUCCEEDED" for row in rows),
        "ends": {f"{row.task} x {row.fault}": "; ".join([row.status, *row.half_way]) for row in rows},
    }
    faults = [str(row) for row in rows if row.half_way or not row.met]
    faults += [f"{len(dark)} moments with no weight above zero"] * bool(dark)
    return Report(NAME, stage.region_name, figures, timeline, faults)


def _row(region: SandboxRegion, task: str, kind: FaultKind) -> Row:
    from sandbox.aws.faults import FaultKind
    from sandbox.ends import half_way

    told = len(region.messages())
    lasting = kind is FaultKind.ACCESS_DENIED
    with ExitStack() as stack:
        if task == "GiveUp":
            stack.enter_context(region.cloud.faults.injected("-SelectStandbyFunctionRole", FaultKind.ACCESS_DENIED))
        role = region.role_of(task)
        fault = stack.enter_context(region.cloud.faults.injected(role, kind, None if lasting else PASSING_CALLS))
        payload = {
            "mode": "failover",
            "scope_id": region.name,
            "incident_id": f"{region.name}-{task}-{kind.name.lower()}",  # one each: of one incident people hear once
            "failed_cluster_id": region.primary,
            "reason": f"{task} meets: {kind}",
        }
        ended = region.wait_for_end(region.start_execution(payload), LIMIT_SECONDS)
    found = half_way(region, told, ended)  # the reconciler is handed what ended badly
    desired = region.view().scope.desired
    roles = {cluster_id: str(held) for cluster_id, held in desired.roles.items()}
    return Row(task, str(kind), fault.met, ended["status"], dict(desired.weights), roles, tuple(found))


SCENARIO = Scenario(NAME, "every Task of cluster_failover meets every fault of AWS: none ends half-way", run)
