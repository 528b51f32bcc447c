"""StartWave: write down what is about to be started, and start it, each cluster's rollout in its own Region."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap
from standfast.bootstrap_releases import fleet_rollouts
from standfast.errors import AutomationOffError, FencedError
from standfast.fleet import parse_input
from standfast.release_record import check_ours
from standfast.release_steps import Course, ReleasePlan, execution_name, payload
from standfast.release_waves import LEAST_SECONDS, Action


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Course. May be repeated: an execution has one name. Raises FencedError, AutomationOffError.

    What was started by a step that was outrun meanwhile is stopped by it again.
    """
    plan = parse_input(ReleasePlan, event, "the StartWave task")
    table, rollouts, now = bootstrap.region_table(), fleet_rollouts(), bootstrap.clock().now()
    last = table.read_release()
    check_ours(last, plan.execution_arn, plan.token)
    if plan.input.break_glass is None and (why_not := table.read_brake().frozen):
        raise AutomationOffError(f"rollouts are frozen: {why_not}")
    wave = plan.plans.waves[plan.course.wave]
    named = [(each, execution_name(plan.execution_arn, "release", each)) for each in wave]
    executions = tuple(rollouts.arn(each.scope_id, each.way, name) for each, name in named)
    if last.executions != executions:
        table.write_release(replace(last, executions=executions), seen=last)
    for each, name in named:
        rollouts.start(each.scope_id, each.way, name, payload(plan, each))
    try:
        check_ours(table.read_release(), plan.execution_arn, plan.token)
    except FencedError as error:
        for arn in executions:
            rollouts.stop(arn, str(error))
        raise
    said = f"wave {plan.course.wave + 1} of {len(plan.plans.waves)} was started"
    course = Course(
        wave=plan.course.wave,
        executions=list(executions),
        began_at=now,
        action=Action.WAIT,
        reason=said,
        seconds=LEAST_SECONDS,
    )
    return course.model_dump(mode="json")
