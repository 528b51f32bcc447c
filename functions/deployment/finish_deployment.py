"""FinishDeployment: nothing is left of what had to go. The record ends, the lease is let go, people are told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from standfast import bootstrap, bootstrap_telling, deployment_announcements
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import DeploymentPlan
from standfast.deployments import Phase
from standfast.errors import FencedError
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether green stands in blue's place, and what was told. Raises FencedError. May be repeated."""
    step = parse_input(DeploymentPlan, event, "the FinishDeployment task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    record = table.read(step.scope_id)
    why = step.reason
    if record.desired.deployment is not None or record.desired.token != step.token:
        deployment = ours(record, step)
        succeeded, why = deployment.phase is Phase.RETIRING, deployment.undoing or why
        said = f"the deployment {step.deployment_id} is over"
        following = record.desired.next(token=step.token, reason=said, now=now, ends_deployment=True)
        write(step, record, following, table)
    else:
        succeeded = step.green in record.desired.placed
    announcement = (
        deployment_announcements.completed(step, now) if succeeded else deployment_announcements.undone(step, why)
    )
    bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.cluster_id,
        now=now,
    )
    with suppress(FencedError):
        table.release(step.scope_id, token=step.token, attempts=record.attempts, not_before=record.not_before)
    return {"succeeded": succeeded, "text": announcement.text}
