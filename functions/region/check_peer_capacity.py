"""CheckPeerCapacity: who could take the users, by what is known and by a canary to each peer now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions, region_views
from standfast.errors import NoHeadroomError, NoPeerProvenError
from standfast.fleet import parse_input
from standfast.region_steps import PeersAnswer, RegionPlan

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.health import EndpointProbe


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the peers that are proven. Raises NoPeerProvenError, in a planned move NoHeadroomError."""
    plan = parse_input(RegionPlan, event, "the CheckPeerCapacity task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    states = bootstrap_regions.region_states()
    known = region_views.gather(plan.here, states, states, bootstrap.region_table())
    peers = region_views.peers_of(plan.region, known, config, now)
    wanted = [*peers.proven, *([plan.region] if plan.mode == "return" else [])]
    asked = asyncio.run(_ask(config, wanted))
    failed = {name: probe for name, probe in asked.items() if not probe.passed}
    proven = [name for name in peers.proven if name not in failed]
    said = "; ".join([*([peers.reason] if peers.reason else []), *(f"{n}: {p.outcome}" for n, p in failed.items())])
    if plan.mode == "return":
        back = region_views.why_not_well(plan.region, plan.region, known, config, now)
        if back or plan.region in failed:
            raise NoPeerProvenError(f"{plan.region} is not proven, so nobody comes back: {back or said}")
    if not proven:
        raise NoPeerProvenError(f"nothing is proven to go to, so nothing moves: {said}")
    overload = region_views.overload(plan.region, proven, known.heartbeats) if plan.mode != "return" else ""
    if overload and plan.planned and not plan.accept_overload:
        raise NoHeadroomError(f"{overload}; accept_overload in the input goes on all the same")
    return PeersAnswer(proven=proven, reason=said, overload=overload).model_dump(mode="json")


async def _ask(config: FleetConfig, regions: list[str]) -> dict[str, EndpointProbe]:
    prober, model = bootstrap.prober(config.model), config.model
    urls = [config.regions[name].entry.url for name in regions]
    found = await asyncio.gather(*(prober.ask(url, model.name, model.canary) for url in urls))
    return dict(zip(regions, found, strict=True))
