"""TakeLease: check the execution's input against what is, and take the scope's lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, failover, lease, planned_move
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
from standfast.lease import Purpose
from standfast.steps import PLANNED, ExecutionInput, MovePlan, Plan, TakeLeaseInput

if TYPE_CHECKING:
    from standfast.brake import Brake, Override
    from standfast.move_rules import Moves
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Plan of this execution. Nothing is changed when anything in the input is wrong."""
    request = parse_input(TakeLeaseInput, event, "the TakeLease task")
    asked = parse_input(ExecutionInput, request.input, "the execution's input")
    region_name = bootstrap.settings().region
    if asked.scope_id != region_name:
        raise InvalidInputError(f"scope_id: this stack serves {region_name}, not {asked.scope_id}; start it there")
    planned = asked.mode in PLANNED
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    override = asked.break_glass.override() if asked.break_glass else None
    brake = bootstrap.region_table().read_brake()
    admission, move = _admit(asked, view, brake, override, now)
    held = view.scope.lease
    if admission.may_change:
        claim = lease.Claim(request.execution_arn, Purpose.ROLLOUT if planned else Purpose.FAILOVER)
        held = lease.take(asked.scope_id, claim, table, bootstrap.executions(), now)
    incident = failover.incident_id(asked.scope_id, admission.failed_cluster_id, view.scope.desired)
    named = {"preflight": f"{asked.scope_id}-preflight"}.get(asked.mode, asked.incident_id or incident)
    plan = Plan(
        mode=asked.mode,
        scope_id=asked.scope_id,
        execution_arn=request.execution_arn,
        incident_id=f"{incident}-{asked.mode}-{request.execution_name}" if planned else named,
        failed_cluster_id=admission.failed_cluster_id,
        reason=asked.reason or "a preflight pretends that the active cluster failed",
        failed_since=asked.failed_since or now,
        detected_at=asked.detected_at or now,
        trigger=asked.trigger,
        token=held.token,
        may_change=admission.may_change,
        held_back=admission.held_back,
        held={} if override else brake.held(view.applied.config.region(asked.scope_id).clusters),
        break_glass=str(override or ""),
        decided_at=now,
        planned=planned,
        move=move,
    )
    return plan.model_dump(mode="json")


def _admit(
    asked: ExecutionInput, view: View, brake: Brake, override: Override | None, now: float
) -> tuple[failover.Admission, MovePlan | None]:
    config = view.applied.config
    region = config.region(asked.scope_id)
    if asked.mode not in PLANNED:
        failed = asked.failed_cluster_id if asked.mode == "failover" else None
        return failover.admit(failed, view, brake, region, override), None
    found = planned_move.admit(asked.mode, asked.to_cluster_id, view, brake, region, now, override)
    return failover.Admission(found.source, found.may_change, found.held_back), _plan(asked, found.target, config.moves)


def _plan(asked: ExecutionInput, target: str | None, rules: Moves) -> MovePlan:
    """What the input says, and where it is silent what FleetConfig says."""
    wishes = {
        "to_cluster_id": target,
        "stages": asked.stages or rules.stages,
        "bake_seconds": rules.bake_seconds if asked.bake_seconds is None else asked.bake_seconds,
        "pause_before": asked.pause_before,
        "accept_overload": asked.accept_overload,
        "pause_seconds": asked.pause_seconds or rules.pause_seconds,
    }
    return parse_input(MovePlan, wishes, "the execution's input")
