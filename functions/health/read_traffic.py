"""ReadTraffic: what the load balancer counted for the clusters that are assessed, and what it thinks of them now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from standfast import bootstrap
from standfast.assessing import AssessmentPlan, TrafficEvidence
from standfast.errors import StandfastError
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FoundT = TypeVar("FoundT")
logger = logging.getLogger("standfast.traffic")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer requests, failures and targets by cluster. One of the two sources may be away; without both it fails."""
    plan = parse_input(AssessmentPlan, event, "the ReadTraffic task")
    config = bootstrap.cluster_table().read_config().config
    entry = config.region(plan.scope_id).bound_entry()
    now, window = bootstrap.clock().now(), config.objectives.window_seconds
    counted, no_counts = _read(lambda: bootstrap.traffic_metrics().counted(entry, now, window))
    targets, no_targets = _read(lambda: bootstrap.target_health().targets(entry, plan.cluster_ids))
    if no_counts and no_targets:
        raise no_counts
    return TrafficEvidence(
        traffic=None if counted is None else {name: counted[name] for name in plan.cluster_ids},
        targets=None if targets is None else dict(targets),
        missing=str(no_counts or ""),
    ).model_dump(mode="json")


def _read(source: Callable[[], Mapping[str, FoundT]]) -> tuple[Mapping[str, FoundT] | None, StandfastError | None]:
    """What a source says, or why it says nothing."""
    try:
        return source(), None
    except StandfastError as error:
        logger.warning("the load balancer is known by half only: %s", error)
        return None, error
