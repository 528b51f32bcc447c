"""The watch: a canary to every replica each second. Started every minute; a run ends when the next has the watch."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Protocol

from standfast import bootstrap
from standfast.watch import Watch, WatchReport

RESERVE_SECONDS = 8
"""Kept back from the function's time-out, so that what is under way ends in order."""


class Context(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's time-out."""
        ...


def handler(_event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many passes were made and what was started."""
    until = bootstrap.clock().now() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    return asdict(asyncio.run(_watch(until)))


async def _watch(until: float) -> WatchReport:
    table = bootstrap.cluster_table()
    engine = (await asyncio.to_thread(table.view)).applied.config.model.engine
    watch = Watch(
        scope_id=bootstrap.settings().region,
        store=table,
        switches=bootstrap.region_table(),
        evidence=table,
        executions=bootstrap.executions(),
        prober=bootstrap.prober(engine),
        clock=bootstrap.clock(),
    )
    return await watch.run(until)
