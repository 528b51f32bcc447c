"""ApplyRemedy: one rung of the ladder for each node that PlanRemedy chose. Recorded first: none is forgotten."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, brake, recovery_start, remedy_record
from standfast.fleet import parse_input
from standfast.recovery_steps import AppliedAnswer, DecidedStep
from standfast.remedy_record import Course


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what is on its way. Raises AutomationOffError when the brake was pulled since, FencedError when another
    execution has the cluster in charge.

    A cluster that got traffic since it was looked at is not touched: it is looked at again.
    """
    step = parse_input(DecidedStep, event, "the ApplyRemedy task")
    table, now = bootstrap.recovery_table(), bootstrap.clock().now()
    if not step.break_glass:
        brake.check_still_runs(bootstrap.region_table().glance_at_brake(), step.scope_id, step.cluster_id)
    record = table.read_recovery(step.cluster_id)
    record.check_in_charge(step.execution_arn)
    if not step.decision.serves and recovery_start.serves(bootstrap.cluster_table().view(), step.cluster_id):
        return AppliedAnswer(remedies=[], applied_at=now).model_dump(mode="json")
    wanted = [each.remedy(now) for each in step.decision.treatments]
    recorded = record.with_remedies(wanted, now)
    if recorded.remedies != record.remedies:
        table.write_recovery(recorded)
    applied = [bootstrap.remedies().apply(remedy) for remedy in wanted]
    remedy_record.amend(bootstrap.incident_log(), step, Course(recorded.remedies), now)
    return AppliedAnswer(remedies=applied, applied_at=now).model_dump(mode="json")
