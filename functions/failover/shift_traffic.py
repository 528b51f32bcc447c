"""ShiftTraffic: write the desired weights under the fencing token, and apply them to the rule."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, brake, traffic
from standfast.fleet import parse_input
from standfast.rule_weights import ALL, LOW_SHED
from standfast.steps import ChosenStep, ShiftAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the weights as found on the rule. Without leave to change, they are only read, and two writes are tried
    that cannot succeed: one to the state table that its condition refuses, one to the rule that ELB refuses.

    Raises FencedError when somebody else holds the lease by now, AutomationOffError when the brake was pulled since,
    NotConvergedError when the rule will not settle.
    """
    step = parse_input(ChosenStep, event, "the ShiftTraffic task")
    table, balancer, clock = bootstrap.cluster_table(), bootstrap.load_balancer(), bootstrap.clock()
    view = table.view()
    region = view.applied.config.region(step.scope_id)
    entry, desired = region.bound_entry(), view.scope.desired
    if not step.may_change:
        traffic.check_writable(step.scope_id, desired, table, now=clock.now())
        balancer.check_writable(entry)
        weights = balancer.read_weights(entry)
        return ShiftAnswer(version=desired.version, weights=dict(weights), shifted_at=clock.now()).model_dump()
    if not step.break_glass:
        switches = bootstrap.region_table().glance_at_brake()
        brake.check_still_runs(switches, step.scope_id, step.failed_cluster_id, step.selection.cluster_id)
    wanted = traffic.all_to(step.selection.cluster_id, region.clusters)
    if step.selection.sheds_low_priority:
        wanted = {**wanted, LOW_SHED: ALL}
    if desired.token != step.token or traffic.shares(desired.weights) != traffic.shares(wanted):
        # A planned move that was under way is over by that: its source may be what failed.
        moved = desired.next(token=step.token, reason=step.reason, now=clock.now(), weights=wanted, ends_move=True)
        table.write_desired(step.scope_id, token=step.token, seen_version=desired.version, desired=moved)
    applied = traffic.apply_desired(step.scope_id, entry, table, balancer)
    return ShiftAnswer(version=applied.version, weights=dict(applied.weights), shifted_at=clock.now()).model_dump()
