"""JudgeRegion: after a stage's records are out and it has baked: whether those who have the users serve them."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_regions, region_moving, region_record, region_views
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.region_steps import PeersStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer why the move may go on. Raises NotServingError where it may not."""
    step = parse_input(PeersStep, event, "the JudgeRegion task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    states = bootstrap_regions.region_states()
    if step.may_change:
        region_moving.hold(states, step.token, now, region_record.LEASE_SECONDS + step.bake_seconds)
    known = region_views.gather(step.here, states, states, bootstrap.region_table())
    judged = [step.region] if step.mode == "return" else list(step.peers.proven)
    for name in judged:
        if why_not := region_views.why_not_well(name, step.region, known, config, now):
            raise NotServingError(f"the stage is bad: {why_not}")
    return {"reason": f"{' and '.join(judged)} serves, as others see it", "at": now}
