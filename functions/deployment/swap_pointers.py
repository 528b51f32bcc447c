"""SwapPointers: green stands in blue's place in the fleet, and blue is no cluster of it any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap, deployments, traffic
from standfast.brake import check_still_runs
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import DeploymentPlan
from standfast.deployments import Phase
from standfast.errors import NotConvergedError
from standfast.fleet import Role, parse_input
from standfast.model_states import ModelState


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what stands in blue's place. Raises FencedError, AutomationOffError, NotConvergedError. Repeatable."""
    step = parse_input(DeploymentPlan, event, "the SwapPointers task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    deployment, desired = ours(view.scope, step), view.scope.desired
    if not step.break_glass:
        check_still_runs(bootstrap.region_table().glance_at_brake(), step.scope_id, step.cluster_id)
    if deployment.phase is Phase.HELD:
        if desired.weights.get(step.cluster_id, 0) or desired.roles.get(step.cluster_id) is Role.ACTIVE:
            raise NotConvergedError(f"{step.cluster_id} serves again, so it does not go")
        weights, roles = deployments.without(desired, step.cluster_id)
        written = (view.applied.as_written or view.applied.config).region(step.scope_id)
        following = desired.next(
            token=step.token,
            reason=f"{step.green} stands in the place of {step.cluster_id}",
            now=now,
            weights=weights,
            roles=roles,
            models={step.cluster_id: None},
            deployment=replace(deployment, phase=Phase.RETIRING),
            placed=deployments.placed_after(written, desired, deployment),
        )
        write(step, view.scope, following, table)
    entry = table.view().applied.config.region(step.scope_id).bound_entry()
    applied = traffic.apply_desired(step.scope_id, entry, table, bootstrap.load_balancer())
    models = bootstrap.model_table()
    record = models.read_model(step.to.name, step.to.version)
    if record is not None and record.state is ModelState.VERIFIED:
        models.write_model(record.live(f"{step.green} serves it", now))
    return {"in_place": step.green, "weights": dict(applied.weights)}
