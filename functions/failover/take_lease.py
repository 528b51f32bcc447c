"""TakeLease: check the execution's input against what is, and take the scope's lease."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, failover, lease
from standfast.brake import Override
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
from standfast.steps import ExecutionInput, Plan, TakeLeaseInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Plan of this execution. Nothing is changed when anything in the input is wrong."""
    request = parse_input(TakeLeaseInput, event, "the TakeLease task")
    asked = parse_input(ExecutionInput, request.input, "the execution's input")
    region_name = bootstrap.settings().region
    if asked.scope_id != region_name:
        raise InvalidInputError(f"scope_id: this stack serves {region_name}, not {asked.scope_id}; start it there")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    region = view.applied.config.region(asked.scope_id)
    failed = asked.failed_cluster_id if asked.mode == "failover" else None
    override = Override(asked.break_glass.by, asked.break_glass.reason) if asked.break_glass else None
    admission = failover.admit(failed, view, bootstrap.region_table().read_brake(), region, override)
    held = view.scope.lease
    if admission.may_change:
        claim = lease.Claim(request.execution_arn, lease.Purpose.FAILOVER)
        held = lease.take(asked.scope_id, claim, table, bootstrap.executions(), now)
    incident = failover.incident_id(asked.scope_id, admission.failed_cluster_id, view.scope.desired)
    plan = Plan(
        mode=asked.mode,
        scope_id=asked.scope_id,
        execution_arn=request.execution_arn,
        incident_id=f"{asked.scope_id}-preflight" if asked.mode == "preflight" else asked.incident_id or incident,
        failed_cluster_id=admission.failed_cluster_id,
        reason=asked.reason or "a preflight pretends that the active cluster failed",
        failed_since=asked.failed_since or now,
        detected_at=asked.detected_at or now,
        trigger=asked.trigger,
        token=held.token,
        may_change=admission.may_change,
        held_back=admission.held_back,
        break_glass=str(override or ""),
        decided_at=now,
    )
    return plan.model_dump(mode="json")
