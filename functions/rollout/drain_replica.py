"""DrainReplica: what does the engine of a replica that is out of the target group still hold?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, rollout
from standfast.fleet import parse_input
from standfast.rollout_keeping import ours
from standfast.rollout_steps import DrainedAnswer, ReplicaStep

if TYPE_CHECKING:
    from standfast.fleet import Model

LOOK_SECONDS = 8.0
EVERY_SECONDS = 0.5


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is drained, and why. Raises FencedError."""
    step = parse_input(ReplicaStep, event, "the DrainReplica task")
    view, clock = bootstrap.cluster_table().view(), bootstrap.clock()
    ours(view.scope, step)
    config, replica = view.applied.config, step.next.replica_id
    known = step.drain if step.drain is not None and step.drain.began_at >= step.next.at else None
    began_at = known.began_at if known else clock.now()
    deadline = began_at + config.rollouts.drain_seconds
    found = asyncio.run(_looked(step.next.url, config.model, known.empty_since if known else None, deadline))
    answer = DrainedAnswer(
        replica_id=replica,
        drained=found.drained,
        reason=found.reason,
        began_at=began_at,
        empty_since=found.empty_since,
        cut=found.cut,
    )
    return answer.model_dump(mode="json")


async def _looked(url: str, model: Model, empty_since: float | None, deadline: float) -> rollout.Drained:
    """Count until it is drained, or for LOOK_SECONDS. A canary of the watch counts as a request for its moment."""
    prober, clock = bootstrap.prober(model), bootstrap.clock()
    until, counts = clock.now() + LOOK_SECONDS, list[tuple[float, int | None]]()
    while True:
        moment = clock.now()
        counts.append((moment, await prober.in_flight(url)))
        found = rollout.judge_drain(counts, empty_since, deadline, clock.now())
        if found.drained or clock.now() >= until:
            return found
        await clock.sleep(EVERY_SECONDS)
