"""RemoveGreen: green after it was given up. Everything that was made for it goes."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.bootstrap_deployments import green_groups
from standfast.deployment_keeping import ours, removal
from standfast.deployment_steps import RemoveStep
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what is still there. Raises FencedError, and NotConvergedError when it will not go. May be repeated."""
    step = parse_input(RemoveStep, event, "the RemoveGreen task")
    ours(bootstrap.cluster_table().read(step.scope_id), step)
    left = green_groups().remove(step.green)
    return removal(step, step.green, left, bootstrap.clock().now()).model_dump(mode="json")
