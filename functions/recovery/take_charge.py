"""TakeCharge: check the execution's input and the switches, and take the cluster in charge: one recovery at a time."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, recovery_start
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
from standfast.lease import HolderState
from standfast.recovery_steps import RecoveryInput, RecoveryPlan, TakeChargeInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the RecoveryPlan. Nothing is changed when anything in the input is wrong, or while the switch observes."""
    request = parse_input(TakeChargeInput, event, "the TakeCharge task")
    asked = parse_input(RecoveryInput, request.input, "the execution's input")
    region_name = bootstrap.settings().region
    if asked.scope_id != region_name:
        raise InvalidInputError(f"scope_id: this stack serves {region_name}, not {asked.scope_id}; start it there")
    bootstrap.cluster_table().read_config().config.region(asked.scope_id).cluster(asked.cluster_id)
    override = asked.break_glass.override() if asked.break_glass else None
    admission = recovery_start.admit(asked.scope_id, asked.cluster_id, bootstrap.region_table().read_brake(), override)
    table, now = bootstrap.recovery_table(), bootstrap.clock().now()
    if admission.may_change:
        record = table.read_recovery(asked.cluster_id)
        holder, state = record.lease.holder, HolderState.ENDED
        if holder not in (None, request.execution_arn):
            state = bootstrap.recoveries().holder_state(str(holder))
        if holder != request.execution_arn:
            table.write_recovery(record.taken_by(request.execution_arn, state, now))
    plan = RecoveryPlan(
        scope_id=asked.scope_id,
        cluster_id=asked.cluster_id,
        cluster_ids=[asked.cluster_id],
        execution_arn=request.execution_arn,
        incident_id=f"{asked.incident_id or asked.scope_id}-recovery-{asked.cluster_id}",
        reason=asked.reason,
        trigger=asked.trigger,
        began_at=now,
        may_change=admission.may_change,
        held_back=admission.held_back,
        break_glass=str(override or ""),
    )
    return plan.model_dump(mode="json")
