"""GiveUpRegionMove: it did not succeed. Undo what must be undone, give the lease back, and tell a person."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast import (
    bootstrap,
    bootstrap_regions,
    bootstrap_telling,
    region_announcements,
    region_giving_up,
    region_moving,
    region_views,
)
from standfast.errors import StandfastError
from standfast.fleet import parse_input
from standfast.region_steps import GiveUpRegionStep

if TYPE_CHECKING:
    from standfast.region_views import RegionEvidence

logger = logging.getLogger("standfast.give_up_region_move")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer where it stands. May be repeated."""
    step = parse_input(GiveUpRegionStep, event, "the GiveUpRegionMove task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    states = bootstrap_regions.region_states()
    switch = bootstrap_regions.region_switch(config)
    stands = region_giving_up.compensate(step, states, switch, _evidence(step), config, now)
    retry_at = None
    if step.may_change:
        failed, wait = not step.planned, config.region_moves.retry_seconds
        retry_at = region_moving.give_back(states, step.token, failed=failed, retry_seconds=wait, now=now)
    announcement = region_announcements.gave_up(step, stands, retry_at)
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.region,
        now=now,
    )
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}


def _evidence(step: GiveUpRegionStep) -> RegionEvidence | None:
    states = bootstrap_regions.region_states()
    try:
        return region_views.gather(step.here, states, states, bootstrap.region_table())
    except StandfastError:
        logger.exception("what the Regions see cannot be read")
        return None
