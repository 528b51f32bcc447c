"""JoinFleet: green is a cluster of the fleet from now on, as a canary without traffic; the watch looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap, deployments, model_versions, traffic
from standfast.brake import check_not_frozen, check_still_runs
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import DeploymentPlan
from standfast.deployments import Phase
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how many of its replicas are registered. Raises FencedError, AutomationOffError. May be repeated."""
    step = parse_input(DeploymentPlan, event, "the JoinFleet task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    deployment, desired = ours(view.scope, step), view.scope.desired
    if not step.break_glass:
        brake = bootstrap.region_table().glance_at_brake()
        check_still_runs(brake, step.scope_id, step.cluster_id)
        check_not_frozen(brake)
    if deployment.phase is Phase.PROVISIONING:
        following = desired.next(
            token=step.token,
            reason=f"{step.green} joins the fleet as a canary",
            now=now,
            weights={**desired.weights, step.green: 0},
            roles=deployments.joined(desired, deployment),
            models={step.green: model_versions.pointed(view.applied.config.model, step.to)},
            deployment=replace(deployment, phase=Phase.CANARY),
        )
        write(step, view.scope, following, table)
    entry = table.view().applied.config.region(step.scope_id).bound_entry()
    traffic.apply_desired(step.scope_id, entry, table, bootstrap.load_balancer())
    replicas = bootstrap.inventory().replicas(entry)
    table.write_replicas(replicas, now=now)
    return {"registered": len(replicas.get(step.green, ())), "target_group_arn": deployment.target_group_arn}
