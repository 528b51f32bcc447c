"""Readmit: a quarantined cluster whose nodes are all well becomes standby, never active by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, brake, failover, lease, traffic
from standfast.failover import FAILED
from standfast.fleet import parse_input
from standfast.recovery_steps import DecidedStep

if TYPE_CHECKING:
    from standfast.invocation import Context


def handler(event: dict[str, Any], context: Context) -> dict[str, bool]:
    """Answer whether its role changed. Raises LeaseHeldError while somebody else changes the scope."""
    step = parse_input(DecidedStep, event, "the Readmit task")
    bootstrap.recovery_table().read_recovery(step.cluster_id).check_in_charge(step.execution_arn)
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    if table.read(step.scope_id).desired.roles.get(step.cluster_id) not in FAILED:
        return {"readmitted": False}
    if not step.break_glass:
        brake.check_still_runs(bootstrap.region_table().glance_at_brake(), step.scope_id, step.cluster_id)
    until = now + context.get_remaining_time_in_millis() / 1000
    holder = lease.step_holder("readmit", context.aws_request_id, until)
    claim = lease.Claim(holder, lease.Purpose.RECOVERY)
    with lease.for_step(step.scope_id, claim, table, bootstrap.executions(), now) as token:
        traffic.record_roles(
            step.scope_id,
            lambda desired: failover.roles_with_readmitted(step.cluster_id, desired),
            table,
            token=token,
            reason=f"{step.cluster_id} is mended: {step.decision.reason}",
            now=now,
        )
    return {"readmitted": True}
