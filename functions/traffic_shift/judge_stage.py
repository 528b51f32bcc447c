"""JudgeStage: is the target well under the stage's traffic, and are users served?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, move_judgement, shifting
from standfast.fleet import parse_input
from standfast.shifting import JudgeAnswer, JudgeStep

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.health import EndpointProbe

CANARIES = 3
"""Asked through the entry, as users ask, at each look."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer pass, wait or abort. Raises FencedError when somebody else holds the lease by now."""
    step = parse_input(JudgeStep, event, "the JudgeStage task")
    view = bootstrap.cluster_table().view()
    shifting.check_lease(view.scope, step.holder, step.token)
    config = view.applied.config
    asked = asyncio.run(_ask(config, config.region(step.scope_id).entry.url))
    decision = move_judgement.judge_stage(
        view.assessments.get(step.target),
        view.checks.get(step.target),
        asked,
        shifted_at=step.shift.shifted_at,
        bake_seconds=step.bake_seconds,
        fresh_seconds=config.detection.fresh_seconds,
        now=bootstrap.clock().now(),
    )
    following = step.stage if step.stage.last else shifting.stage(step, step.stage.number + 1)
    answer = JudgeAnswer(action=decision.action, reason=decision.reason, last=step.stage.last, next=following)
    return answer.model_dump(mode="json")


async def _ask(config: FleetConfig, url: str) -> list[EndpointProbe]:
    prober, model = bootstrap.prober(config.model), config.model
    return await asyncio.gather(*(prober.ask(url, model.name, model.canary) for _ in range(CANARIES)))
