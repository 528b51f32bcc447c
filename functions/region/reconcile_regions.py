"""Each minute, and when an execution of region-failover ended badly: what is left half-way is finished and told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast import (
    bootstrap,
    bootstrap_regions,
    bootstrap_telling,
    region_announcements,
    region_reconciling,
    region_views,
)
from standfast.ended_execution import ended_in
from standfast.errors import ConflictError, LeaseHeldError
from standfast.fleet import Automation
from standfast.lease import step_holder

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.invocation import Context
    from standfast.region_reconciling import HalfWay

TIMEOUT_SECONDS = 60.0
QUIET = frozenset({"RegionMoveFailed", "LeftToAnother"})
"""Ends that were told, and that nobody needs to hear of."""

logger = logging.getLogger("standfast.reconcile_regions")


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer what was found."""
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    here, states = bootstrap.settings().region, bootstrap_regions.region_states()
    ended = ended_in(event)
    if ended is not None and ended.error not in QUIET:
        said = region_announcements.ended_half_way(ended.execution_arn, ended.status, ended.error or "")
        incident_id = ended.execution_arn.rpartition(":")[2]
        bootstrap_telling.tell(said, incident_id=incident_id, scope_id=here, now=now)
    if ended is not None:
        region_reconciling.let_go(ended.execution_arn, states, config.region_moves.retry_seconds, now)
    known = region_views.gather(here, states, states, bootstrap.region_table())
    found = region_reconciling.half_way(known, config, now)
    if found is None or bootstrap.region_table().read_brake().fleet.automation is not Automation.RUN:
        return {"found": "" if found is None else found.reason, "done": False}
    return {"found": found.reason, "done": _finish(found, config, here, context.aws_request_id, now)}


def _finish(found: HalfWay, config: FleetConfig, here: str, request_id: str, now: float) -> bool:
    holder = step_holder("reconcile-regions", request_id, now + TIMEOUT_SECONDS)
    switch, states = bootstrap_regions.region_switch(config), bootstrap_regions.region_states()
    try:
        region_reconciling.finish(found, holder, states, switch, now)
    except (ConflictError, LeaseHeldError) as error:
        logger.info("another Region is at it: %s", error)
        return False
    said = region_announcements.finished(found.regions, found.reason)
    bootstrap_telling.tell(said, incident_id="regions-half-way", scope_id=here, now=now)
    return True
