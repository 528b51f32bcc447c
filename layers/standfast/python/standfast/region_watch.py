"""The watch of a Region that only looks at the others: a canary through each entry each second, as users see it.

It decides nothing: it writes down what it sees. A Region is judged from outside by several such sights.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from standfast.errors import StandfastError
from standfast.health import Verdict, judge_entry
from standfast.observation import REMEMBERED
from standfast.stores import Sight
from standfast.watch import PASS_SECONDS, WatchReport

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.health import EndpointProbe, Judgement
    from standfast.ports import Clock, Prober
    from standfast.stores import RelayStore, SightStore

WRITE_SECONDS = 10.0
"""How old a written sight may get while the verdict stays the same: a write to three Regions takes 0.1 s."""

logger = logging.getLogger("standfast.region_watch")


class RegionWatch:
    """One run. `vantage` is the Region in which it runs."""

    def __init__(
        self, vantage: str, config: FleetConfig, relay: RelayStore, sights: SightStore, prober: Prober, clock: Clock
    ) -> None:
        self._vantage = vantage
        self._config = config
        self._relay = relay
        self._sights = sights
        self._prober = prober
        self._clock = clock
        self._probes: dict[str, deque[EndpointProbe]] = {
            region: deque(maxlen=REMEMBERED) for region in sorted(config.regions)
        }
        self._written: dict[str, tuple[Verdict, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, until: float) -> WatchReport:
        """Look until a later run has the watch, or until the given time (seconds since the epoch)."""
        generation = await asyncio.to_thread(self._relay.enter)
        passes, reason = 0, "the time is up and no later run has the watch"
        while self._clock.now() < until:
            began = self._clock.now()
            if passes and await self._is_relieved(generation):
                reason = "a later run has the watch"
                break
            await asyncio.gather(*(self._look(region) for region in self._probes))
            if passes == 0:
                await asyncio.to_thread(self._relay.take_over, generation)
            passes += 1
            await self._clock.sleep(max(0.0, began + PASS_SECONDS - self._clock.now()))
        while self._tasks:
            await asyncio.wait(self._tasks)
        return WatchReport(generation, passes, reason, ())

    async def _is_relieved(self, generation: int) -> bool:
        try:
            return await asyncio.to_thread(self._relay.relay) > generation
        except StandfastError as error:
            logger.warning("the relay cannot be read, so the watch goes on: %s", error)
            return False

    async def _look(self, region: str) -> None:
        """One canary by the way that users take, and what it says together with those before it."""
        model = self._config.model
        url = self._config.regions[region].entry.url
        self._probes[region].append(await self._prober.ask(url, model.name, model.canary))
        judged = judge_entry(list(self._probes[region]), self._config.detection, self._clock.now())
        now = self._clock.now()
        before = self._written.get(region)
        if before is not None and before[0] is judged.verdict and now - before[1] < WRITE_SECONDS:
            return
        if before is None or before[0] is not judged.verdict:
            logger.info("%s is %s from here: %s", region, judged.verdict, judged.reason)
        self._written[region] = (judged.verdict, now)
        task = asyncio.create_task(self._write(region, judged, now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, region: str, judged: Judgement, now: float) -> None:
        """Beside the probing: where the other Regions do not answer, a write takes seconds and fails."""
        sight = Sight(self._vantage, region, judged.verdict, judged.reason, now)
        try:
            await asyncio.to_thread(self._sights.write_sight, sight)
        except StandfastError as error:
            self._written.pop(region, None)
            logger.warning("the sight of %s was not written, a later pass tries again: %s", region, error)
