"""AskEdge: whether the edge follows: two endpoints say that a Region is condemned, or the records are out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions, region_moving
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.region_ports import Voice
from standfast.region_rules import VOICES
from standfast.region_steps import EdgeAnswer, PeersStep

if TYPE_CHECKING:
    from standfast.region_ports import RegionSwitch


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether it is there. Raises NotServingError when it takes longer than region_moves.edge_seconds."""
    step = parse_input(PeersStep, event, "the AskEdge task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    if step.may_change:
        region_moving.hold(bootstrap_regions.region_states(), step.token, now)
    switch = bootstrap_regions.region_switch(config)
    there, reason = _records(step, switch) if step.planned else _voices(step, switch)
    since = now if step.edge is None or step.edge.there else step.edge.since
    if not there and now - since > config.region_moves.edge_seconds:
        raise NotServingError(f"the edge did not follow in {config.region_moves.edge_seconds} s: {reason}")
    return EdgeAnswer(there=there, reason=reason, since=since, at=now).model_dump(mode="json")


def _voices(step: PeersStep, switch: RegionSwitch) -> tuple[bool, str]:
    said = switch.voices(step.region)
    reason = ", ".join(f"{name} {voice}" for name, voice in sorted(said.items())) or "no endpoint is known"
    condemning = sum(voice is Voice.CONDEMNS for voice in said.values())
    return condemning >= VOICES, f"the endpoints say: {reason}"


def _records(step: PeersStep, switch: RegionSwitch) -> tuple[bool, str]:
    if step.shift is None or not step.may_change or switch.is_settled(step.shift.change):
        return True, "the records are at every name server"
    return False, f"the change {step.shift.change} is on its way to the name servers"
