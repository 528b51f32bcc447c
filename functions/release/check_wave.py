"""CheckWave: how the rollouts of a wave stand, and what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, release_waves
from standfast.bootstrap_releases import fleet_rollouts
from standfast.config_sync import said
from standfast.fleet import parse_input
from standfast.release_record import check_ours
from standfast.release_steps import Course, ReleasePlan
from standfast.release_waves import Action, Standing

if TYPE_CHECKING:
    from standfast.brake import Brake


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Course; with `next` its wave is the next one. May be repeated. Raises FencedError."""
    plan = parse_input(ReleasePlan, event, "the CheckWave task")
    course, now, table = plan.course, bootstrap.clock().now(), bootstrap.region_table()
    check_ours(table.read_release(), plan.execution_arn, plan.token)
    standings = []
    for target, arn in zip(plan.plans.waves[course.wave], course.executions, strict=True):
        outcome = fleet_rollouts().progress(arn)
        good, cause = outcome.output is not None, said(outcome.cause)
        standings.append(Standing(target.cluster_id, target.scope_id, outcome.ended, good, outcome.error, cause))
    found = release_waves.decide(
        course.wave + 1,
        len(plan.plans.waves),
        standings,
        began_at=course.began_at,
        baked_since=course.baked_since,
        bake_seconds=plan.bake_seconds,
        against="" if plan.input.break_glass else _against(plan, table.read_brake()),
        now=now,
    )
    baked_since = (course.baked_since or now) if found.bakes else None
    return Course(
        wave=course.wave + (found.action is Action.NEXT),
        executions=course.executions,
        began_at=course.began_at,
        baked_since=baked_since,
        action=found.action,
        reason=found.reason,
        seconds=found.seconds,
    ).model_dump(mode="json")


def _against(plan: ReleasePlan, brake: Brake) -> str:
    """Why the next wave may not start; empty where it may, or where there is none."""
    if brake.frozen:
        return f"rollouts are frozen: {brake.frozen}"
    following = plan.plans.waves[plan.course.wave + 1 : plan.course.wave + 2]
    found = [brake.why_not(each.scope_id, each.cluster_id) for wave in following for each in wave]
    return next((why_not for why_not in found if why_not), "")
