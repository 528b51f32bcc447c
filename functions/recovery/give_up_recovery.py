"""GiveUpRecovery: the cluster is not mended. Let it go with a hold-down, and tell a person."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, recovery_announcements, recovery_start, remedy_record, scaling
from standfast.errors import StandfastError
from standfast.fleet import parse_input
from standfast.recovery_steps import GiveUpRecoveryStep
from standfast.remedy_record import Course

if TYPE_CHECKING:
    from standfast.scaling import FailedActivity

logger = logging.getLogger("standfast.recovery")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated: a cluster that was let go is left alone."""
    step = parse_input(GiveUpRecoveryStep, event, "the GiveUpRecovery task")
    table, records, now = bootstrap.cluster_table(), bootstrap.recovery_table(), bootstrap.clock().now()
    view, record = table.view(), records.read_recovery(step.cluster_id)
    tried = [remedy for remedy in record.remedies if remedy.at >= step.began_at]
    if record.lease.holder == step.execution_arn:
        why = recovery_announcements.why_not_recovered(step)
        record = record.failed(view.applied.config.recovery.hold_down_seconds, now, why)
        records.write_recovery(record)
    serves = recovery_start.serves(view, step.cluster_id)
    announcement = recovery_announcements.not_recovered(
        step, tried, record.not_before, serves=serves, failed=_refused(step)
    )
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.cluster_id,
        now=now,
    )
    well = step.decision.well_nodes if step.decision else ()
    said = f"{step.cluster_id} was not mended: {recovery_announcements.why_not_recovered(step)}"
    remedy_record.amend(bootstrap.incident_log(), step, Course(record.remedies, well, now, said), now)
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}


def _refused(step: GiveUpRecoveryStep) -> FailedActivity | None:
    """What Auto Scaling could not do since this recovery began. A person is told of the recovery all the same."""
    try:
        return scaling.latest(bootstrap.scaling().failed_activities(step.cluster_id, step.began_at))
    except StandfastError:
        logger.exception("what Auto Scaling did for %s cannot be said", step.cluster_id)
        return None
