"""Condemn: write that the Region must not serve. State alone: no control plane is asked for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions, region, region_moving, region_record, region_views
from standfast.brake import check_still_runs
from standfast.fleet import parse_input
from standfast.region_steps import CondemnAnswer, PeersStep

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.region_moving import Made


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is condemned. One that a watch began and that is over by now condemns nobody."""
    step = parse_input(PeersStep, event, "the Condemn task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    if not step.may_change:
        return CondemnAnswer(condemned=False, reason=step.held_back, at=now).model_dump(mode="json")
    states, shared = bootstrap_regions.region_states(), bootstrap.region_table()
    if not step.break_glass:
        check_still_runs(shared.read_brake(), step.region)
    known = region_views.gather(step.here, states, states, shared)
    if step.automatic and (over := region.why_no_more(step.region, known, config, now)):
        return CondemnAnswer(condemned=False, reason=over, at=now).model_dump(mode="json")
    written = region_moving.change(states, step.token, _made(step, config, now), now)
    bootstrap_regions.region_switch(config).evacuate(written.condemned[step.region])
    at = written.condemned[step.region].condemned_at
    return CondemnAnswer(condemned=True, reason=step.reason, at=at).model_dump(mode="json")


def _made(step: PeersStep, config: FleetConfig, now: float) -> Made:
    """Once more for this execution's own condemnation only makes it fresh."""
    return lambda record: region_record.condemn(
        record,
        step.region,
        serving=set(config.regions),
        by=step.condemned_by,
        reason=step.reason,
        incident_id=step.incident_id,
        now=now,
    )
