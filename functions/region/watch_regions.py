"""Look at every Region's entry as users do. Started every minute; a run ends when the next has the watch."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.invocation import end_of_work
from standfast.region_watch import RegionWatch

if TYPE_CHECKING:
    from standfast.invocation import Context
    from standfast.watch import WatchReport


def handler(_event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many passes were made."""
    return asdict(asyncio.run(_watch(end_of_work(context, bootstrap.clock()))))


async def _watch(until: float) -> WatchReport:
    table = bootstrap.cluster_table()
    config = (await asyncio.to_thread(table.read_config)).config
    watch = RegionWatch(
        vantage=bootstrap.settings().region,
        config=config,
        relay=table,
        sights=bootstrap.region_table(),
        prober=bootstrap.prober(config.model),
        clock=bootstrap.clock(),
    )
    return await watch.run(until)
