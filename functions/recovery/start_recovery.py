"""StartRecovery: a step of `cluster_failover`: the failed cluster is to be mended, by an execution of its own."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, recovery_start
from standfast.fleet import parse_input
from standfast.lease import HolderState
from standfast.steps import Plan


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer the execution, which nobody waits for, and why it was started; or why none was.

    The scheduled look at the clusters would start the same one: it has the same name.
    """
    plan = parse_input(Plan, event, "the StartRecovery task")
    view, record = (
        bootstrap.cluster_table().view(),
        bootstrap.recovery_table().read_recovery(plan.failed_cluster_id),
    )
    recoveries, holder = bootstrap.recoveries(), record.lease.holder
    state = recoveries.holder_state(holder) if holder else HolderState.ENDED
    brake, now = bootstrap.region_table().glance_at_brake(), bootstrap.clock().now()
    due = recovery_start.decide_begin(view, record, state, brake, now, failed_over=True)
    if not due.begin:
        return {"execution_arn": "", "reason": due.reason}
    payload = {
        "scope_id": plan.scope_id,
        "cluster_id": plan.failed_cluster_id,
        "reason": plan.reason,
        "incident_id": plan.incident_id,
        "trigger": "failover",
    }
    return {"execution_arn": recoveries.start_recovery(due.name, payload), "reason": due.reason}
