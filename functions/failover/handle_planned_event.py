"""AWS announces that instances go (Health, a Capacity Block): move their cluster's traffic in time, or tell somebody.

The same event twice starts one execution and tells once: both have a name that is the event's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, move_announcements, planned_events, planned_notices
from standfast.errors import StandfastError
from standfast.planned_events import PlannedAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.planned_events import PlannedDecision
    from standfast.planned_notices import Notice
    from standfast.stores import View

logger = logging.getLogger("standfast.planned_events")


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what was decided, by cluster id. Raises InvalidInputError for an event of another kind."""
    notice = planned_notices.notice_in(event)
    view, now = bootstrap.cluster_table().view(), bootstrap.clock().now()
    named = notice.instance_ids
    if notice.reservation_id:
        named = tuple(bootstrap.maintenance().instances_of(notice.reservation_id))
    brake = bootstrap.region_table().read_brake()
    decisions = planned_events.decide(notice, named, _scheduled(view), view, brake, now)
    return {decision.cluster_id or "ignored": _act(notice, decision, now) for decision in decisions}


def _scheduled(view: View) -> Mapping[str, float]:
    """What else AWS will take. Where it cannot be said, the event's own instances are judged alone."""
    ours = {each.replica_id.partition(":")[0] for found in view.replicas.values() for each in found}
    try:
        return bootstrap.maintenance().scheduled(ours)
    except StandfastError:
        logger.exception("what else is scheduled is not known")
        return {}


def _act(notice: Notice, decision: PlannedDecision, now: float) -> str:
    """Start first, then tell: whoever stops between the two starts nothing twice."""
    logger.warning("%s: %s: %s", notice.what, decision.action, decision.reason)
    if decision.action is PlannedAction.IGNORE:
        return decision.reason
    if decision.action is PlannedAction.MOVE:
        bootstrap.executions().start_failover(decision.execution_name, decision.payload)
    scope_id = bootstrap.settings().region
    bootstrap_telling.tell(
        move_announcements.planned_event(scope_id, notice, decision),
        incident_id=planned_events.execution_name(scope_id, notice, decision.cluster_id),
        scope_id=scope_id,
        failed_cluster_id=decision.cluster_id,
        now=now,
    )
    return f"{decision.action}: {decision.reason}"
