"""JudgePause: while a person thinks, is the target still well? A question may be open for an hour."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from standfast import bootstrap, move_judgement, questions, shifting
from standfast.fleet import parse_input
from standfast.shifting import PauseStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer pass once the question is closed, abort when the target fails, else wait.

    Raises FencedError when somebody else holds the lease by now.
    """
    step = parse_input(PauseStep, event, "the JudgePause task")
    plan, now = step.plan, bootstrap.clock().now()
    view = bootstrap.cluster_table().view()
    shifting.check_lease(view.scope, plan.holder, plan.token)
    asked = questions.question_id(step.execution_arn, plan.stage.question)
    question = bootstrap.question_table().read_question(asked)  # None: it is being asked
    is_over = question is not None and (question.delivered or now >= question.closes_at)
    decision = move_judgement.judge_pause(
        view.assessments.get(plan.target),
        view.checks.get(plan.target),
        is_over=is_over,
        asked_at=question.asked_at if question else now,
        fresh_seconds=view.applied.config.detection.fresh_seconds,
        now=now,
    )
    return asdict(decision)
