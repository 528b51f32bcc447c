"""PlanDeployment: which ways fit the GPUs that there are, how long there and back. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_quotas, capacity, model_states, model_versions, quotas
from standfast.bootstrap_deployments import green_groups
from standfast.deployment_steps import DeploymentInput, PlanRequest
from standfast.errors import InvalidInputError, NoHeadroomError
from standfast.fleet import Role, parse_input
from standfast.model_versions import ModelVersion
from standfast.rollout_plan import Ground, Way, plan

if TYPE_CHECKING:
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the input with the plan in words. Raises NoHeadroomError when blue/green does not fit."""
    request = parse_input(PlanRequest, event, "the PlanDeployment task")
    asked = parse_input(DeploymentInput, request.input, "the execution's input")
    own = bootstrap.settings().region
    if asked.scope_id != own:
        raise InvalidInputError(f"scope_id: this stack serves {own}, not {asked.scope_id}; start it there")
    if asked.settle:
        return {"input": request.input, "dry_run": False, "planned": "what was begun is ended"}
    view, now = bootstrap.cluster_table().view(), bootstrap.clock().now()
    found = plan(_ground(asked, view, now), view.applied.config, wanted=None if asked.dryRun else Way.BLUE_GREEN)
    if found.chosen is None and not asked.dryRun:
        raise NoHeadroomError(found.text)
    options = [
        {"way": each.way, "fits": each.fits, "reason": each.reason, "takes": str(each.takes), "abort": str(each.abort)}
        for each in found.options
    ]
    live = model_versions.live(view.applied.config.model, view.scope.desired.models.get(asked.cluster_id))
    return {
        "input": request.input,
        "dry_run": asked.dryRun,
        "planned": found.text,
        "options": options,
        "role": view.scope.desired.roles.get(asked.cluster_id, Role.STANDBY),
        "live": live.version,
    }


def _ground(asked: DeploymentInput, view: View, now: float) -> Ground:
    config, name = view.applied.config, asked.cluster_id
    region = config.region(asked.scope_id)
    cluster, desired = region.cluster(name), view.scope.desired
    before = model_versions.live(config.model, desired.models.get(name))
    to = ModelVersion(before.name, asked.version)
    record = bootstrap.model_table().read_model(to.name, to.version)
    if why_not := model_states.refusal(record, to.name, to.version, asked.scope_id):
        raise InvalidInputError(f"version: {why_not}")
    launches = bootstrap_quotas.launching().launches(sorted(region.clusters))
    service = bootstrap_quotas.service_quotas()
    found = view.assessments.get(name)
    healthy = found.passing if found is not None and now - found.assessed_at <= config.detection.fresh_seconds else 0
    return Ground(
        cluster_id=name,
        cluster=cluster,
        healthy=healthy,
        spared=capacity.of_rest(name, cluster, healthy - 1, view.loads, now),
        launches=launches,
        quotas={code: service.value(code) for code in quotas.asked(launches)},
        group=green_groups().group(name, cluster.target_group_arn),
        size=record.bytes if record else 0,
        has_traffic=desired.weights.get(name, 0) > 0,
    )
