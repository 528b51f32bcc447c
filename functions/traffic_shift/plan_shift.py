"""PlanShift: check the input against what is. Nothing is changed yet."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, release_judgement, shifting
from standfast.errors import InvalidInputError
from standfast.fleet import Role, parse_input
from standfast.shifting import PlanShiftInput, ShiftInput, ShiftPlan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan with its first stage. Raises FencedError when the parent does not hold the lease any more."""
    given = parse_input(PlanShiftInput, event, "the PlanShift task")
    asked = parse_input(ShiftInput, given.input, "the execution's input")
    region_name = bootstrap.settings().region
    if asked.scope_id != region_name:
        raise InvalidInputError(f"scope_id: this stack serves {region_name}, not {asked.scope_id}; start it there")
    view = bootstrap.cluster_table().view()
    shifting.check_lease(view.scope, asked.holder, asked.token)
    region, desired = view.applied.config.region(asked.scope_id), view.scope.desired
    for cluster_id in (asked.source, asked.target):
        region.cluster(cluster_id)
    if desired.cluster_with(Role.ACTIVE) != asked.source:
        raise InvalidInputError(f"source: {asked.source} is not active; nothing to shift")
    release_judgement.check_time(asked, view.applied.config.rollouts)
    # A step that runs twice must not take the first stage's weights for those of before.
    under_way = desired.move if desired.move and desired.move.target == asked.target else None
    before = under_way.before if under_way else desired.weights
    plan = ShiftPlan(**asked.model_dump(), before=dict(before), stage=shifting.stage(asked, 1))
    return plan.model_dump(mode="json")
