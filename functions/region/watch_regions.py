"""Look at every Region's entry as users do. Started every minute; a run ends when the next has the watch."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from standfast import bootstrap
from standfast.region_watch import RegionWatch

if TYPE_CHECKING:
    from standfast.watch import WatchReport


RESERVE_SECONDS = 8
"""Kept back from the function's time-out, so that what is under way ends in order."""


class Context(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's time-out."""
        ...


def handler(_event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many passes were made."""
    until = bootstrap.clock().now() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    return asdict(asyncio.run(_watch(until)))


async def _watch(until: float) -> WatchReport:
    table = bootstrap.cluster_table()
    config = (await asyncio.to_thread(table.read_config)).config
    watch = RegionWatch(
        vantage=bootstrap.settings().region,
        config=config,
        relay=table,
        sights=bootstrap.region_table(),
        prober=bootstrap.prober(config.model.engine),
        clock=bootstrap.clock(),
    )
    return await watch.run(until)
