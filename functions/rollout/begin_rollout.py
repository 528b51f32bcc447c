"""BeginRollout: check the execution's input, take the lease, and write the update down before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, lease, model_states, model_versions, rollout, rollout_announcements, telling
from standfast.brake import Override, check_still_runs
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
from standfast.model_versions import ModelVersion
from standfast.rollout_keeping import update_of, write
from standfast.rollout_steps import BeginInput, RollingInput, RollingPlan

if TYPE_CHECKING:
    from standfast.model_versions import ServedModel
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the RollingPlan. Nothing is changed when anything in the input is wrong. May be repeated."""
    request = parse_input(BeginInput, event, "the BeginRollout task")
    asked = parse_input(RollingInput, request.input, "the execution's input")
    own = bootstrap.settings().region
    if asked.scope_id != own:
        raise InvalidInputError(f"scope_id: this stack serves {own}, not {asked.scope_id}; start it there")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    view.applied.config.region(own).cluster(asked.cluster_id)
    override = Override(asked.break_glass.by, asked.break_glass.reason) if asked.break_glass else None
    _begun(asked, view, request.execution_name, override, now)
    claim = lease.Claim(request.execution_arn, lease.Purpose.ROLLOUT)
    held = lease.take(own, claim, table, bootstrap.executions(), now)
    view = table.view()  # what was written before the lease was ours counts
    served = _begun(asked, view, request.execution_name, override, now)
    update = update_of(served)
    plan = RollingPlan(
        scope_id=own,
        cluster_id=asked.cluster_id,
        execution_arn=request.execution_arn,
        token=held.token,
        rollout_id=update.rollout_id,
        before=served.live,
        to=update.to,
        reason=asked.reason,
        trigger=asked.trigger,
        began_at=now,
        break_glass=str(override or ""),
    )
    if served != view.scope.desired.models.get(asked.cluster_id):
        write(plan, view.scope, served, asked.reason, table, now)
    if not asked.put_back:
        telling.tell(
            rollout_announcements.begun(plan, len(view.replicas.get(asked.cluster_id, ()))),
            incident_id=f"{own}-{update.rollout_id}",
            scope_id=own,
            failed_cluster_id=asked.cluster_id,
            incidents=table,
            messenger=bootstrap.messenger(),
            switches=bootstrap.region_table(),
            now=now,
        )
    return plan.model_dump(mode="json")


def _begun(asked: RollingInput, view: View, name: str, override: Override | None, now: float) -> ServedModel:
    """The cluster's record with the update, on its way there or back. Raises what speaks against it."""
    model, served = view.applied.config.model, view.scope.desired.models.get(asked.cluster_id)
    update = served.update if served else None
    if asked.put_back:
        if served is None or update is None:
            raise InvalidInputError(f"put_back: no update of {asked.cluster_id} is under way")
        if override is None:
            check_still_runs(bootstrap.region_table().read_brake(), asked.scope_id, asked.cluster_id)
        return replace(served, update=update.reverted(asked.reason))
    if served is not None and update is not None and update.rollout_id == name:
        return served
    to = ModelVersion(model_versions.live(model, served).name, asked.version)
    brake, recovery = bootstrap.region_table().read_brake(), bootstrap.recovery_table().read_recovery(asked.cluster_id)
    rollout.check_may_begin(view, asked.cluster_id, to, brake, recovery, override)
    _check_whole(to, "version", asked.scope_id)
    _check_whole(model_versions.live(model, served), "the way back", asked.scope_id)
    return model_versions.begun(model, served, name, to, now)


def _check_whole(version: ModelVersion, what: str, region: str) -> None:
    """Raises InvalidInputError unless every object of the version was verified in this Region."""
    record = bootstrap.model_table().read_model(version.name, version.version)
    if why_not := model_states.refusal(record, version.name, version.version, region):
        raise InvalidInputError(f"{what}: {why_not}")
