"""PromoteGreen: green has what blue had; blue stands by as the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap, deployments
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import DeploymentPlan
from standfast.deployments import Phase
from standfast.errors import NotConvergedError
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the roles. Raises FencedError, and NotConvergedError when blue has traffic. May be repeated."""
    step = parse_input(DeploymentPlan, event, "the PromoteGreen task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    record = table.read(step.scope_id)
    deployment, desired = ours(record, step), record.desired
    if desired.weights.get(step.cluster_id, 0):
        raise NotConvergedError(f"{step.cluster_id} has traffic, so {step.green} does not stand in its place")
    roles = dict(desired.roles)
    if deployment.phase is Phase.CANARY:
        roles = dict(deployments.promoted(desired, deployment))
        following = desired.next(
            token=step.token,
            reason=f"{step.green} is proven; {step.cluster_id} stands by as the way back",
            now=now,
            roles=roles,
            ends_move=True,
            deployment=replace(deployment, phase=Phase.HELD),
        )
        write(step, record, following, table)
    return {"roles": {name: str(role) for name, role in sorted(roles.items())}}
