"""SmokeTestGreen: golden prompts, a load, and latency, of green through the entry, before it has traffic."""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import bootstrap, smoke
from standfast.deployment_keeping import ours
from standfast.deployment_steps import SmokeAnswer, SmokeStep
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.smoke import SmokeAction


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what it came to. Raises FencedError, and NotServingError with what is wrong."""
    step = parse_input(SmokeStep, event, "the SmokeTestGreen task")
    table, clock = bootstrap.cluster_table(), bootstrap.clock()
    view, began = table.view(), clock.now()
    ours(view.scope, step)
    config = view.applied.config
    region, rules = config.region(step.scope_id), config.rollouts
    recorded = table.read_golden(step.to.name, step.to.version)
    bursts = asyncio.run(
        smoke.ask(
            bootstrap.prober(config.model),
            region.entry.url,
            step.green,
            step.to.name,
            config.model.canary,
            recorded,
            rules.smoke_requests,
        )
    )
    since = step.smoke.began_at if step.smoke else began
    decision = smoke.judge(
        bursts,
        view.assessments.get(step.green),
        is_golden=bool(recorded),
        fresh_seconds=config.detection.fresh_seconds,
        began_at=since,
        patience_seconds=rules.patience_seconds,
        now=clock.now(),
    )
    if decision.action is SmokeAction.FAIL:
        raise NotServingError(f"{step.green}: {decision.reason}")
    return SmokeAnswer(action=decision.action, reason=decision.reason, began_at=since).model_dump(mode="json")
