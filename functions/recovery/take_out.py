"""TakeOut: the nodes that are to be mended get no new request. A cluster that is out of traffic has none anyway."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, brake
from standfast.fleet import parse_input
from standfast.recovery_steps import DecidedStep

PROPAGATION_SECONDS = 5
"""How long the load balancer's nodes may take to follow, where no request has to end."""


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Answer how long requests under way may take to end. Raises AutomationOffError when the brake was pulled since.

    Recorded first: a node that is out of its target group and not recorded would be taken for somebody's own affair.
    """
    step = parse_input(DecidedStep, event, "the TakeOut task")
    if not step.decision.serves:
        return {"drain_seconds": 0}
    if not step.break_glass:
        brake.check_still_runs(bootstrap.region_table().glance_at_brake(), step.scope_id, step.cluster_id)
    config = bootstrap.cluster_table().read_config().config
    group = config.region(step.scope_id).cluster(step.cluster_id).target_group_arn
    out = {each.instance_id for each in step.decision.treatments}
    table = bootstrap.recovery_table()
    record = table.read_recovery(step.cluster_id)
    record.check_in_charge(step.execution_arn)
    if not out <= record.taken_out:
        table.write_recovery(record.with_out(out, {each.instance_id for each in step.listed}))
    bootstrap.cluster_nodes().take_out(group, out)
    answers = any(each.answers for each in step.decision.treatments)
    return {"drain_seconds": max(PROPAGATION_SECONDS, config.failover.drain_seconds if answers else 0)}
