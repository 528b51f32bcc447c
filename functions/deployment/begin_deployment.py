"""BeginDeployment: check the execution's input, take the lease, and write green down before anything of it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, deployment_announcements, deployment_beginning, lease
from standfast.deployment_keeping import write
from standfast.deployment_steps import BeginRequest, DeploymentInput
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from standfast.deployments import Deployment
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the DeploymentPlan. Nothing is changed when anything in the input is wrong. May be repeated."""
    request = parse_input(BeginRequest, event, "the BeginDeployment task")
    asked = parse_input(DeploymentInput, request.input, "the execution's input")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    override = asked.break_glass.override() if asked.break_glass else None

    def at_work_on(view: View, token: int) -> Deployment:
        switches, recoveries = bootstrap.region_table(), bootstrap.recovery_table()
        return deployment_beginning.at_work_on(
            asked, view, request.execution_name, token, override, switches, recoveries, now
        )

    at_work_on(table.view(), 0)
    claim = lease.Claim(request.execution_arn, lease.Purpose.ROLLOUT)
    held = lease.take(asked.scope_id, claim, table, bootstrap.executions(), now)
    view = table.view()  # what was written before the lease was ours counts
    deployment = at_work_on(view, held.token)
    plan = deployment_beginning.plan(asked, request, view, deployment, held.token, override, now)
    if deployment != view.scope.desired.deployment:
        following = view.scope.desired.next(token=held.token, reason=asked.reason, now=now, deployment=deployment)
        write(plan, view.scope, following, table)
    if plan.way == "forward":
        bootstrap_telling.tell(
            deployment_announcements.begun(plan),
            incident_id=plan.incident_id,
            scope_id=plan.scope_id,
            failed_cluster_id=plan.cluster_id,
            now=now,
        )
    return plan.model_dump(mode="json")
