"""PlanAssessment: which clusters to look at, and how often."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.assessing import ROUNDS, AssessInput, AssessmentPlan, PlanInput
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. Raises UnknownClusterError with the clusters that there are."""
    asked = parse_input(AssessInput, parse_input(PlanInput, event, "the task").input, "the execution's input")
    scope_id = bootstrap.settings().region
    region = bootstrap.cluster_table().read_config().config.region(scope_id)
    for cluster_id in asked.cluster_ids or ():
        region.cluster(cluster_id)
    plan = AssessmentPlan(
        scope_id=scope_id,
        cluster_ids=asked.cluster_ids or sorted(region.clusters),
        trigger=asked.trigger,
        rounds_left=ROUNDS.get(asked.trigger, 1),
    )
    return plan.model_dump(mode="json")
