"""Which update an execution of `rolling_update` is to be at work on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast import model_states, model_versions, rollout
from standfast.brake import check_still_runs
from standfast.errors import InvalidInputError
from standfast.fleet import Role
from standfast.model_versions import CanaryLoad, ModelVersion
from standfast.rollout_admission import may_load_a_canary

if TYPE_CHECKING:
    from standfast.brake import Override
    from standfast.model_states import ModelStates
    from standfast.model_versions import ServedModel
    from standfast.recovery_ports import RecoveryStore
    from standfast.rollout_steps import RollingInput
    from standfast.stores import SwitchStore, View


def at_work_on(
    asked: RollingInput,
    view: View,
    name: str,
    override: Override | None,
    switches: SwitchStore,
    recoveries: RecoveryStore,
    models: ModelStates,
    now: float,
) -> ServedModel:
    """The cluster's record with the update of the execution of this name, on its way there or back.

    Changes nothing. Raises what is against it: UnknownClusterError, InvalidInputError, AutomationOffError,
    LeaseHeldError.
    """
    view.applied.config.region(asked.scope_id).cluster(asked.cluster_id)
    model, served = view.applied.config.model, view.scope.desired.models.get(asked.cluster_id)
    update = served.update if served else None
    if asked.put_back:
        if served is None or update is None:
            raise InvalidInputError(f"put_back: no update of {asked.cluster_id} is under way")
        if override is None:
            check_still_runs(switches.read_brake(), asked.scope_id, asked.cluster_id)
        return replace(served, update=update.reverted(asked.reason))
    if served is not None and update is not None and update.rollout_id == name:
        return served
    before = model_versions.live(model, served)
    to, recovery = ModelVersion(before.name, asked.version), recoveries.read_recovery(asked.cluster_id)
    rollout.check_may_begin(view, asked.cluster_id, to, switches.read_brake(), recovery, override)
    _check_whole(to, "version", asked.scope_id, models)
    _check_whole(before, "the way back", asked.scope_id, models)
    if asked.canary:
        _check_standby(view, asked.cluster_id)
    return model_versions.begun(model, served, name, to, now, CanaryLoad.ASKED if asked.canary else None)


def _check_standby(view: View, cluster_id: str) -> None:
    """Raises InvalidInputError where users would meet what a canary load brings."""
    desired = view.scope.desired
    if not may_load_a_canary(desired, cluster_id):
        role = desired.roles.get(cluster_id, Role.STANDBY)
        raise InvalidInputError(f"cluster_id: {cluster_id} is {role}; a canary load takes a standby without traffic")


def _check_whole(version: ModelVersion, what: str, region: str, models: ModelStates) -> None:
    """Raises InvalidInputError unless every object of the version was verified in this Region."""
    record = models.read_model(version.name, version.version)
    if why_not := model_states.refusal(record, version.name, version.version, region):
        raise InvalidInputError(f"{what}: {why_not}")
