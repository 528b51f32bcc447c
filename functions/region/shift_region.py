"""ShiftRegion: the next stage of a planned move, as desired weights and then as records. A control plane is asked."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_regions, region_moving, region_record, region_shifting
from standfast.brake import check_still_runs
from standfast.fleet import parse_input
from standfast.region_steps import PeersStep, RegionShiftAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the stage. May be repeated: the same stage is the same write."""
    step = parse_input(PeersStep, event, "the ShiftRegion task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    number, stage = region_shifting.next_stage(step)
    weights = region_record.staged(step.region, step.peers.proven, stage, home=step.mode == "return")
    change = ""
    if step.may_change:
        if not step.break_glass:
            check_still_runs(bootstrap.region_table().read_brake(), step.region)
        states = bootstrap_regions.region_states()
        hold = region_record.LEASE_SECONDS + step.bake_seconds
        region_moving.change(states, step.token, region_shifting.staged(step, stage, config, now), now, hold)
        change = region_shifting.apply(step.region, states, bootstrap_regions.region_switch(config))
    return RegionShiftAnswer(
        number=number,
        stage=stage,
        weights=dict(weights),
        change=change,
        last=number + 1 == len(step.stages),
        at=now,
    ).model_dump(mode="json")
