"""RemoveCluster: blue after the swap, green after an undoing. What Standfast made goes; of a team's own, the nodes."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.bootstrap_deployments import green_groups
from standfast.deployment_keeping import ours
from standfast.deployment_steps import RemovedAnswer, RemoveStep
from standfast.deployments import Phase
from standfast.errors import NotConvergedError
from standfast.fleet import parse_input

GIVEN_UP_SECONDS = 1800.0
"""Nodes that have not gone by then are a person's: each of them costs."""
SETTLED_SECONDS = 30.0
"""A step of the execution that was outrun is over by then: until then it may still make something."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what is still there. Raises FencedError, and NotConvergedError when it will not go. May be repeated."""
    step = parse_input(RemoveStep, event, "the RemoveCluster task")
    deployment, now = ours(bootstrap.cluster_table().read(step.scope_id), step), bootstrap.clock().now()
    goes = step.cluster_id if deployment.phase is Phase.RETIRING else step.green
    left = green_groups().remove(goes)
    began = step.removal.began_at if step.removal else now
    if left and now - began > GIVEN_UP_SECONDS:
        raise NotConvergedError(f"{', '.join(left)} of {goes} did not go in {now - began:.0f} s")
    sure = step.way == "forward" or now - began >= SETTLED_SECONDS
    return RemovedAnswer(removed=not left and sure, left=list(left), began_at=began).model_dump(mode="json")
