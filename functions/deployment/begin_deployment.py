"""BeginDeployment: check the execution's input, take the lease, and write green down before anything of it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, deployment_announcements, deployments, lease, model_versions, rollout_admission
from standfast.brake import Override, check_still_runs
from standfast.deployment_keeping import tell, write
from standfast.deployment_steps import BeginRequest, DeploymentInput, DeploymentPlan
from standfast.deployments import Deployment, Phase
from standfast.errors import InvalidInputError, LeaseHeldError
from standfast.fleet import parse_input
from standfast.model_versions import ModelVersion

if TYPE_CHECKING:
    from standfast.stores import IncidentStore, View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the DeploymentPlan. Nothing is changed when anything in the input is wrong. May be repeated."""
    request = parse_input(BeginRequest, event, "the BeginDeployment task")
    asked = parse_input(DeploymentInput, request.input, "the execution's input")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    override = Override(asked.break_glass.by, asked.break_glass.reason) if asked.break_glass else None
    _deployment(asked, table.view(), request.execution_name, 0, override, now)
    claim = lease.Claim(request.execution_arn, lease.Purpose.ROLLOUT)
    held = lease.take(asked.scope_id, claim, table, bootstrap.executions(), now)
    view = table.view()  # what was written before the lease was ours counts
    deployment = _deployment(asked, view, request.execution_name, held.token, override, now)
    plan = _plan(asked, request, view, deployment, held.token, str(override or ""), now)
    if deployment != view.scope.desired.deployment:
        following = view.scope.desired.next(token=held.token, reason=asked.reason, now=now, deployment=deployment)
        write(plan, view.scope, following, table)
    if plan.way == "forward":
        _tell(plan, table, now)
    return plan.model_dump(mode="json")


def _tell(plan: DeploymentPlan, incidents: IncidentStore, now: float) -> None:
    switches = bootstrap.region_table()
    tell(plan, deployment_announcements.begun(plan), incidents, bootstrap.messenger(), switches, now)


def _deployment(
    asked: DeploymentInput, view: View, name: str, token: int, override: Override | None, now: float
) -> Deployment:
    """The deployment to be at work on: this execution's own, or what was left half-way. Raises what is against it."""
    known = view.scope.desired.deployment
    if asked.settle:
        if known is None:
            raise InvalidInputError("settle: no deployment is under way")
        if override is None:
            check_still_runs(bootstrap.region_table().read_brake(), asked.scope_id, known.blue)
        return replace(known, undoing=known.undoing or asked.reason, attempts=known.attempts + 1)
    if known is not None and known.deployment_id == name:
        return known
    if known is not None:
        raise LeaseHeldError(f"{known.green} is being deployed beside {known.blue}: one rollout at a time")
    model = view.applied.config.model
    to = ModelVersion(model_versions.live(model, view.scope.desired.models.get(asked.cluster_id)).name, asked.version)
    brake, recovery = bootstrap.region_table().read_brake(), bootstrap.recovery_table().read_recovery(asked.cluster_id)
    rollout_admission.check_free(view, asked.cluster_id, to, brake, recovery, override)
    cluster = view.applied.config.region(asked.scope_id).cluster(asked.cluster_id)
    green = deployments.green_id(asked.cluster_id, token)
    return Deployment(name, asked.cluster_id, green, to, cluster.replicas, Phase.PROVISIONING, now)


def _plan(
    asked: DeploymentInput,
    request: BeginRequest,
    view: View,
    deployment: Deployment,
    token: int,
    glass: str,
    now: float,
) -> DeploymentPlan:
    """What the input says, and where it is silent what FleetConfig says."""
    desired, config = view.scope.desired, view.applied.config
    moves, rules, blue = config.moves, config.rollouts, deployment.blue
    way = "finish" if deployment.phase is Phase.RETIRING else "undo" if asked.settle else "forward"
    wishes = {
        "scope_id": asked.scope_id,
        "cluster_id": blue,
        "execution_arn": request.execution_arn,
        "token": token,
        "deployment_id": deployment.deployment_id,
        "incident_id": f"{asked.scope_id}-{deployment.deployment_id}",
        "green": deployment.green,
        "before": model_versions.live(config.model, desired.models.get(blue)),
        "to": deployment.to,
        "way": way,
        "has_traffic": desired.weights.get(blue, 0) > 0,
        "planned": request.planned,
        "reason": asked.reason,
        "trigger": asked.trigger,
        "began_at": now,
        "stages": asked.stages or moves.stages,
        "bake_seconds": moves.bake_seconds if asked.bake_seconds is None else asked.bake_seconds,
        "pause_before": asked.pause_before,
        "pause_seconds": asked.pause_seconds or moves.pause_seconds,
        "hold_seconds": rules.hold_seconds if asked.hold_seconds is None else asked.hold_seconds,
        "drain_seconds": rules.drain_seconds,
        "accept_overload": asked.accept_overload,
        "break_glass": glass,
    }
    return parse_input(DeploymentPlan, wishes, "the execution's input")
