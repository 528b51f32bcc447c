"""JudgeStage: is the target well under the stage's traffic, and are users served?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, capacity, move_judgement, shifting
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
    now = bootstrap.clock().now()
    decision = move_judgement.judge_stage(
        view.assessments.get(step.target),
        view.checks.get(step.target),
        asked,
        shifted_at=step.shift.shifted_at,
        bake_seconds=step.bake_seconds,
        fresh_seconds=config.detection.fresh_seconds,
        now=now,
    )
    following = step.stage if step.stage.last else shifting.stage(step, step.stage.number + 1)
    if not step.accept_overload:
        # What was measured before the shift was held against all of the traffic before it began.
        since = {name: load for name, load in view.loads.items() if load.measured_at > step.shift.shifted_at}
        clusters = config.region(step.scope_id).clusters
        fit = capacity.fit(step.source, step.target, clusters, since, now, readings=1)
        decision = move_judgement.with_headroom(decision, fit, following.weight)
    answer = JudgeAnswer(action=decision.action, reason=decision.reason, last=step.stage.last, next=following)
    return answer.model_dump(mode="json")


async def _ask(config: FleetConfig, url: str) -> list[EndpointProbe]:
    prober, model = bootstrap.prober(config.model), config.model
    return await asyncio.gather(*(prober.ask(url, model.name, model.canary) for _ in range(CANARIES)))
