"""ShiftStage: write the stage's weights under the parent's fencing token, and apply them to the rule."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, brake, planned_move, shifting, traffic
from standfast.fleet import parse_input
from standfast.shifting import ShiftPlan
from standfast.steps import ShiftAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the weights as found on the rule.

    Raises AutomationOffError when the brake was pulled or rollouts were frozen since, FencedError when somebody else
    holds the lease by now, NotConvergedError when the rule will not settle.
    """
    plan = parse_input(ShiftPlan, event, "the ShiftStage task")
    table, clock = bootstrap.cluster_table(), bootstrap.clock()
    view = table.view()
    shifting.check_lease(view.scope, plan.holder, plan.token)
    if not plan.break_glass:
        switches = bootstrap.region_table().glance_at_brake()
        brake.check_still_runs(switches, plan.scope_id, plan.source, plan.target)
        brake.check_not_frozen(switches)
    region, desired = view.applied.config.region(plan.scope_id), view.scope.desired
    wanted = planned_move.weights_at(plan.stage.weight, plan.move, list(region.clusters))
    if desired.move != plan.move or traffic.shares(desired.weights) != traffic.shares(wanted):
        reason = f"stage {plan.stage.number} of {len(plan.stages)}: {plan.reason}"
        following = desired.next(token=plan.token, reason=reason, now=clock.now(), weights=wanted, move=plan.move)
        table.write_desired(plan.scope_id, token=plan.token, seen_version=desired.version, desired=following)
    applied = traffic.apply_desired(plan.scope_id, region.bound_entry(), table, bootstrap.load_balancer())
    return ShiftAnswer(version=applied.version, weights=dict(applied.weights), shifted_at=clock.now()).model_dump()
