"""ProvisionGreen: make what is missing of green, and see how many of its nodes are in service."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.bootstrap_deployments import green_groups
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import ProvisionedAnswer, ProvisionStep
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.rollout_plan import LAUNCH_SECONDS


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how far it is. Raises FencedError, and NotServingError when its nodes do not come. May be repeated."""
    step = parse_input(ProvisionStep, event, "the ProvisionGreen task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    deployment = ours(view.scope, step)
    region = view.applied.config.region(step.scope_id)
    blue = region.cluster(step.cluster_id)
    found = green_groups().provision(step.cluster_id, blue.target_group_arn, region.entry.listener_rule_arn, step.green)
    if found.target_group_arn != deployment.target_group_arn:
        made = deployment.provisioned(found.target_group_arn)
        following = view.scope.desired.next(token=step.token, reason="green is made", now=now, deployment=made)
        write(step, view.scope, following, table)
    began = step.nodes.began_at if step.nodes else now
    count = len(found.instance_ids)
    if count < found.wanted and (found.said or now - began > LAUNCH_SECONDS):
        raise NotServingError(f"{count} of {found.wanted} nodes of {step.green} are there. {found.said}".rstrip())
    said = f"{count} of {found.wanted} nodes of {step.green} are in service"
    ready = count >= found.wanted
    return ProvisionedAnswer(ready=ready, instance_ids=list(found.instance_ids), said=said, began_at=began).model_dump(
        mode="json"
    )
