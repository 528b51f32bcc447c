"""RequestNodeReports: ask all nodes of the clusters that are assessed how they are."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.assessing import AssessmentPlan, Commands
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the commands. Asked twice, the nodes report twice, which changes nothing."""
    plan = parse_input(AssessmentPlan, event, "the RequestNodeReports task")
    asked_at = bootstrap.clock().now()
    commands = bootstrap.node_reports().request(plan.cluster_ids)
    return Commands(asked_at=asked_at, commands=dict(commands)).model_dump(mode="json")
