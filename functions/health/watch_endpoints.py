"""The watch: a canary to every replica each second. Started every minute; a run ends when the next has the watch."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.invocation import end_of_work
from standfast.watch import Watch, WatchReport

if TYPE_CHECKING:
    from standfast.invocation import Context


def handler(_event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many passes were made and what was started."""
    return asdict(asyncio.run(_watch(end_of_work(context, bootstrap.clock()))))


async def _watch(until: float) -> WatchReport:
    table = bootstrap.cluster_table()
    model = (await asyncio.to_thread(table.view)).applied.config.model
    watch = Watch(
        scope_id=bootstrap.settings().region,
        store=table,
        switches=bootstrap.region_table(),
        evidence=table,
        executions=bootstrap.executions(),
        prober=bootstrap.prober(model),
        clock=bootstrap.clock(),
        metrics=bootstrap.metrics(),
    )
    return await watch.run(until)
