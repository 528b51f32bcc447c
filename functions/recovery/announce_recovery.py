"""AnnounceRecovery: let the cluster go, and tell what was done; or what would have been done."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from standfast import bootstrap, bootstrap_telling, recovery_announcements, remedy_record
from standfast.fleet import parse_input
from standfast.recovery_steps import DecidedStep
from standfast.remedy_record import Course


class Readmitted(BaseModel):
    """What Readmit answered."""

    readmitted: bool = False


class AnnounceStep(DecidedStep):
    """`role` is there once Readmit has answered."""

    role: Readmitted = Readmitted()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was told. May be repeated: a cluster that was let go is left alone."""
    step = parse_input(AnnounceStep, event, "the AnnounceRecovery task")
    table, now = bootstrap.recovery_table(), bootstrap.clock().now()
    record = table.read_recovery(step.cluster_id)
    tried = [remedy for remedy in record.remedies if remedy.at >= step.began_at]
    if step.may_change and record.lease.holder == step.execution_arn:
        # Where nothing had to be done, nothing will have to be in a minute: whatever began it is no illness of a node.
        rules = bootstrap.cluster_table().read_config().config.recovery
        table.write_recovery(record.succeeded(0.0 if tried else now + rules.hold_down_seconds))
    announcement = (
        recovery_announcements.recovered(step, tried, readmitted=step.role.readmitted)
        if step.may_change
        else recovery_announcements.held_back(step)
    )
    told = bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.cluster_id,
        now=now,
    )
    said = f"{step.cluster_id} is mended{' and standby again' * step.role.readmitted}: {step.decision.reason}"
    if not step.may_change:
        said = f"no node was mended: {step.held_back}"
    course = Course(record.remedies, step.decision.well_nodes, now, said, mended=step.may_change)
    remedy_record.amend(bootstrap.incident_log(), step, course, now)
    return {"outcome": announcement.outcome, "told": told, "text": announcement.text}
