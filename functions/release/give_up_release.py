"""GiveUpRelease: nothing further starts, what is under way is stopped, and people are told."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.announcements import cause_in_words
from standfast.bootstrap_releases import fleet_rollouts
from standfast.fleet import parse_input
from standfast.release_ending import end
from standfast.release_record import under_way
from standfast.release_steps import ReleasePlan
from standfast.release_waves import Action


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how it ended, and what was told. May be repeated: only the first time is anybody told."""
    plan = parse_input(ReleasePlan, event, "the GiveUpRelease task")
    table, rollouts, reason = bootstrap.region_table(), fleet_rollouts(), plan.course.reason
    ended = "stopped" if plan.course.action is Action.STOP else "aborted"
    if plan.error is not None:
        ended = "aborted"
        reason = f"wave {plan.course.wave + 1} of {len(plan.plans.waves)}: {cause_in_words(plan.error)}"
    for arn in under_way(table.read_release(), plan.execution_arn):
        rollouts.stop(arn, f"the release ended: {reason}")
    return end(plan, ended, reason, table, bootstrap.messenger())
