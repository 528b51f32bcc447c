"""`controller-dies`: the execution and its workers are killed after each state in turn; the reconciler ends it.

The traffic is moved by hand from a cluster that is well: by a failover, and by a planned move with its child,
`traffic_shift`. Kill points are the states that do something: after each, and during those that write. (A Choice or a
Wait changes nothing: to be killed after it is to be killed after the state before.) GiveUp and AbortShift are reached
by denying the state before them.

What is left must become whole (`sandbox.ends`). Later, the dead controller's writes come after all, with its token:
each must be refused and change nothing.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import PREFLIGHT, SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.late import LateWrite
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "controller-dies"
AT_WORK_SECONDS: Final = 0.6
"""A kill during a state falls anywhere in so long: ShiftTraffic takes two calls of ELB, 0.3 s each."""


@dataclass(frozen=True, slots=True)
class KillPoint:
    """Where the controller dies: after a state, or during it. `denied`: the function that must fail to come there."""

    state: str
    during: bool = False
    planned: bool = False
    child: bool = False
    stages: tuple[int, ...] = (10, 100)
    denied: str = ""

    def __str__(self) -> str:
        where = f"{'during' if self.during else 'after'} {self.state}"
        if not self.planned:
            return where
        return f"planned move: {where}{' of all traffic' if self.child and self.stages == (100,) else ''}"


FAILOVER: Final = (
    "TakeLease", "ProbeStandbys", "SelectStandby", "ShiftTraffic", "VerifyServing", "RecordRoles", "ResumeRequests",
    "CheckDrain", "Quarantine", "ReleaseLease", "Announce",
)  # fmt: skip
WRITERS: Final = ("TakeLease", "ShiftTraffic", "RecordRoles", "Quarantine", "ReleaseLease")
KILL_POINTS: Final = (
    *(KillPoint(state) for state in FAILOVER),
    KillPoint("GiveUp", denied="SelectStandby"),
    KillPoint("TakeLease", planned=True),
    KillPoint("PlanShift", planned=True, child=True),
    KillPoint("ShiftStage", planned=True, child=True),
    KillPoint("ShiftStage", planned=True, child=True, during=True),
    KillPoint("JudgeStage", planned=True, child=True),
    KillPoint("ShiftStage", planned=True, child=True, stages=(100,)),
    KillPoint("AbortShift", planned=True, child=True, denied="JudgeStage"),
    KillPoint("ShiftByStages", planned=True, stages=(100,)),
    KillPoint("RecordRoles", planned=True, stages=(100,)),
    KillPoint("ReleaseLease", planned=True, stages=(100,)),
    *(KillPoint(state, during=True) for state in WRITERS),
)


@dataclass(slots=True)
class Row:
    """One kill: where, whether it fell there, what was left, and what the dead controller's late writes came to."""

    point: KillPoint
    killed: bool
    serves: Sequence[str]
    half_way: Sequence[str]
    late: list[LateWrite] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What did not come out as it must."""
        found = [] if self.killed else ["the execution had ended by itself"]
        found += [f"HALF-WAY: {each}" for each in self.half_way]
        return found + [f"NOT REFUSED: {each}" for each in self.late if not each.refused or each.changed]

    def __str__(self) -> str:
        said = [f"traffic on {', '.join(self.serves)}, whole"] if not self.half_way else []
        refused = sum(each.refused for each in self.late)
        return f"{self.point}: {'; '.join(said + self.faults)}; {refused} of {len(self.late)} late writes refused"


def run(stage: Stage) -> Report:
    """Every kill point, each mended before the next."""
    from sandbox.witness import Witness

    region = stage.region
    region.cloud.ticker.pause(PREFLIGHT, region.name)  # it has the same workers
    whole, chance = Witness(region), random.Random(stage.seed)
    rows: list[Row] = []
    timeline: list[Moment] = []
    for point in KILL_POINTS:
        row = _row(region, point, chance)
        rows.append(row)
        timeline.append(Moment(round(time.time() - whole.began_at, 3), str(point), str(row)))
        stage.say(f"{len(rows)} of {len(KILL_POINTS)}: {row}")
    found = figures(rows)
    dark = sum(not any(change.weights.values()) for change in whole.rule_changes())
    found["zero_weight_moments"] = dark
    faults = [f"{row.point}: {fault}" for row in rows for fault in row.faults]
    return Report(NAME, stage.region_name, found, timeline, faults + whole.faults())


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows in numbers, and what each came to."""
    return {
        "kill_points": sum(row.killed for row in rows),
        "half_way_ends": sum(bool(row.half_way) for row in rows),
        "stale_writes_tried": sum(len(row.late) for row in rows),
        "stale_writes_refused": sum(each.refused for row in rows for each in row.late),
        "stale_writes_applied": sum(bool(each.changed) for row in rows for each in row.late),
        "ends": {str(row.point): "; ".join(row.faults) or f"whole, on {', '.join(row.serves)}" for row in rows},
    }


def _row(region: SandboxRegion, point: KillPoint, chance: random.Random) -> Row:
    from sandbox import kills, late
    from sandbox.aws.faults import FaultKind
    from sandbox.ends import half_way

    told = len(region.messages())
    role = f"-{point.denied}FunctionRole"
    with ExitStack() as stack:
        if point.denied:
            stack.enter_context(region.cloud.faults.injected(role, FaultKind.ACCESS_DENIED))
        stack.enter_context(kills.slow_transitions(region.cloud))
        arn = region.start_execution(_payload(region, point))
        child = ""
        try:
            child = kills.child_of(region, arn) if point.child else ""
            kills.wait_for_state(region, child or arn, point.state, is_over=False)
            if point.during:
                time.sleep(chance.uniform(0.0, AT_WORK_SECONDS))
            else:
                stack.enter_context(kills.slow_transitions(region.cloud, kills.LEAVING_SECONDS))
                kills.wait_for_state(region, child or arn, point.state, is_over=True)
            killed = kills.kill(region, arn)
        except SandboxError:  # it ended before it came there: the row says so, and what that came to
            killed = False
    ended = region.wait_for_end(arn)
    found = half_way(region, told, ended)
    serves = [name for name, weight in region.view().scope.desired.weights.items() if weight]
    writes = late.dead_writes(
        kills.last_data(kills.history(region, arn)),
        kills.last_data(kills.history(region, child)) if child else {},
        region.standby,
    )
    for denied in {denial.role for denial in region.cloud.denials()}:
        if point.denied and role in denied:
            region.cloud.forgive(denied)  # provoked
    region.restore()
    # All is well now and nobody is at work: the dead controller's writes, after all.
    tried = [late.write_late(region, function, payload) for function, payload in writes]
    return Row(point, killed, serves, found, tried)


def _payload(region: SandboxRegion, point: KillPoint) -> dict[str, object]:
    reason = f"the controller dies {point}"
    payload: dict[str, object] = {"scope_id": region.name, "reason": reason}
    if not point.planned:
        incident = f"{region.name}-dies-{point}".replace(" ", "-")  # one each: of one incident people hear once
        return {**payload, "mode": "failover", "failed_cluster_id": region.primary, "incident_id": incident}
    staged = {"stages": list(point.stages), "bake_seconds": 0, "accept_overload": True}
    return {**payload, "mode": "switchover", "to_cluster_id": region.standby, **staged}


SCENARIO = Scenario(NAME, "the controller is killed after each state in turn: the reconciler ends what is left", run)
