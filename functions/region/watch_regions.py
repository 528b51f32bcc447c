"""Look at every Region's entry as users do, and judge. Started every minute; a run ends when the next has the watch."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions
from standfast.invocation import end_of_work
from standfast.region_desk import DeskPorts, RegionDesk
from standfast.region_watch import RegionWatch

if TYPE_CHECKING:
    from standfast.invocation import Context
    from standfast.watch import WatchReport


def handler(_event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many passes were made."""
    return asdict(asyncio.run(_watch(end_of_work(context, bootstrap.clock()))))


async def _watch(until: float) -> WatchReport:
    table, settings = bootstrap.cluster_table(), bootstrap.settings()
    config = (await asyncio.to_thread(table.read_config)).config
    states, shared = bootstrap_regions.region_states(), bootstrap.region_table()
    ports = DeskPorts(
        regions=states,
        beats=states,
        sights=shared,
        switches=shared,
        incidents=table,
        messenger=bootstrap.messenger(),
        moves=bootstrap_regions.region_moves(),
        views=table if settings.region in config.regions else None,
        verdict_url=settings.verdict_url,
    )
    watch = RegionWatch(
        vantage=settings.region,
        config=config,
        relay=bootstrap_regions.region_relay(),
        sights=shared,
        prober=bootstrap.prober(config.model),
        controls=bootstrap_regions.controls(),
        desk=RegionDesk(settings.region, config, ports),
        clock=bootstrap.clock(),
    )
    return await watch.run(until)
