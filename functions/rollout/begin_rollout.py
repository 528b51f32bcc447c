"""BeginRollout: check the execution's input, take the lease, and write the update down before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, lease, rollout_announcements, rollout_beginning
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input
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
    override = asked.break_glass.override() if asked.break_glass else None

    def at_work_on(view: View) -> ServedModel:
        switches, recoveries, models = bootstrap.region_table(), bootstrap.recovery_table(), bootstrap.model_table()
        return rollout_beginning.at_work_on(
            asked, view, request.execution_name, override, switches, recoveries, models, now
        )

    at_work_on(table.view())
    claim = lease.Claim(request.execution_arn, lease.Purpose.ROLLOUT)
    held = lease.take(own, claim, table, bootstrap.executions(), now)
    view = table.view()  # what was written before the lease was ours counts
    served = at_work_on(view)
    plan = RollingPlan(
        scope_id=own,
        cluster_id=asked.cluster_id,
        execution_arn=request.execution_arn,
        token=held.token,
        rollout_id=update_of(served).rollout_id,
        before=served.live,
        to=update_of(served).to,
        reason=asked.reason,
        trigger=asked.trigger,
        began_at=now,
        break_glass=str(override or ""),
        canary=update_of(served).canary is not None,
        surge=asked.surge,
    )
    if served != view.scope.desired.models.get(asked.cluster_id):
        write(plan, view.scope, served, asked.reason, table, now)
    if not asked.put_back:
        bootstrap_telling.tell(
            rollout_announcements.begun(plan, len(view.replicas.get(asked.cluster_id, ()))),
            incident_id=plan.incident_id,
            scope_id=own,
            failed_cluster_id=asked.cluster_id,
            now=now,
        )
    return plan.model_dump(mode="json")
