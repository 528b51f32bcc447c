"""Whether a rollout of any kind may begin: one at a time, and nothing else under way with its cluster. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.brake import check_not_frozen
from standfast.errors import AutomationOffError, InvalidInputError, LeaseHeldError
from standfast.fleet import Automation, Role
from standfast.model_versions import live

if TYPE_CHECKING:
    from standfast.brake import Brake, Override
    from standfast.model_versions import ModelVersion
    from standfast.recovery_record import RecoveryRecord
    from standfast.stores import View
    from standfast.traffic import Desired


def may_load_a_canary(desired: Desired, cluster_id: str) -> bool:
    """Whether users meet nothing of what is loaded there: a standby without traffic."""
    return desired.roles.get(cluster_id, Role.STANDBY) is Role.STANDBY and not desired.weights.get(cluster_id, 0)


def check_free(
    view: View,
    cluster_id: str,
    to: ModelVersion,
    brake: Brake,
    recovery: RecoveryRecord,
    override: Override | None = None,
) -> None:
    """Whether a rollout of any kind may begin. Raises AutomationOffError, LeaseHeldError, InvalidInputError."""
    scope_id, model, desired = view.scope.scope_id, view.applied.config.model, view.scope.desired
    view.applied.config.region(scope_id).cluster(cluster_id)
    if override is None:
        check_not_frozen(brake)
    switch = brake.of(scope_id, cluster_id)
    if override is None and switch.automation is not Automation.RUN:
        raise AutomationOffError(f"the switch is {switch}; set it to run first, or give break_glass")
    for name, served in sorted(desired.models.items()):
        if served.update is not None:
            raise LeaseHeldError(
                f"{name} is being updated to {served.update.to} by {served.update.rollout_id}: one rollout at a time"
            )
    if desired.deployment is not None:
        green, blue = desired.deployment.green, desired.deployment.blue
        raise LeaseHeldError(f"{green} is being deployed beside {blue}: one rollout at a time")
    if desired.move is not None:
        raise LeaseHeldError("a planned move is under way, or was left half-way: one change at a time")
    if recovery.lease.holder is not None:
        raise LeaseHeldError(f"{recovery.lease.holder} mends {cluster_id}; wait until it is done")
    role = desired.roles.get(cluster_id, Role.STANDBY)
    if role not in (Role.ACTIVE, Role.STANDBY):
        raise InvalidInputError(f"cluster_id: {cluster_id} is {role}; it has to be active or a standby")
    if to == live(model, desired.models.get(cluster_id)):
        raise InvalidInputError(f"version: {cluster_id} serves {to} already")
