"""What an execution of `blue_green_deployment` is to be at work on, and by which rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast import deployments, model_versions, rollout_admission
from standfast.brake import check_still_runs
from standfast.deployment_steps import DeploymentPlan
from standfast.deployments import Deployment, Phase
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
from standfast.model_versions import ModelVersion

if TYPE_CHECKING:
    from standfast.brake import Override
    from standfast.deployment_steps import BeginRequest, DeploymentInput
    from standfast.recovery_ports import RecoveryStore
    from standfast.stores import SwitchStore, View


def at_work_on(
    asked: DeploymentInput,
    view: View,
    name: str,
    token: int,
    override: Override | None,
    switches: SwitchStore,
    recoveries: RecoveryStore,
    now: float,
) -> Deployment:
    """The deployment of the execution of this name: its own, or what was left half-way.

    Changes nothing. Raises what is against it: InvalidInputError, AutomationOffError, LeaseHeldError.
    """
    known = view.scope.desired.deployment
    if asked.settle:
        if known is None:
            raise InvalidInputError("settle: no deployment is under way")
        if override is None:
            check_still_runs(switches.read_brake(), asked.scope_id, known.blue)
        return replace(known, undoing=known.undoing or asked.reason, attempts=known.attempts + 1)
    if known is not None and known.deployment_id == name:
        return known
    config, blue = view.applied.config, asked.cluster_id
    to = ModelVersion(model_versions.live(config.model, view.scope.desired.models.get(blue)).name, asked.version)
    rollout_admission.check_free(view, blue, to, switches.read_brake(), recoveries.read_recovery(blue), override)
    replicas = config.region(asked.scope_id).cluster(blue).replicas
    return Deployment(name, blue, deployments.green_id(blue, token), to, replicas, Phase.PROVISIONING, now)


def plan(
    asked: DeploymentInput,
    request: BeginRequest,
    view: View,
    deployment: Deployment,
    token: int,
    override: Override | None,
    now: float,
) -> DeploymentPlan:
    """What the input says, and where it is silent what FleetConfig says. Raises InvalidInputError."""
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
        "break_glass": str(override or ""),
    }
    return parse_input(DeploymentPlan, wishes, "the execution's input")
