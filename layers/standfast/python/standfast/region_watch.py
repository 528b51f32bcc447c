"""The watch of the Regions: a canary through each entry each second, as users see it, from every Region of the fleet.

It writes down what it sees, and whether it can see at all. What comes of it, its desk decides (region_desk).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from standfast.errors import StandfastError
from standfast.health import Verdict, judge_entry
from standfast.observation import REMEMBERED
from standfast.region_desk import BLIND_SECONDS
from standfast.stores import Sight
from standfast.watch import PASS_SECONDS, WatchReport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from standfast.fleet import FleetConfig
    from standfast.health import EndpointProbe, Judgement
    from standfast.ports import Clock, Prober
    from standfast.region_desk import RegionDesk
    from standfast.region_ports import Controls
    from standfast.stores import RelayStore, SightStore

WRITE_SECONDS = 10.0
"""How old a written sight may get while the verdict stays the same: a write to three Regions takes 0.1 s."""
SETTLING_PASSES = 3
"""A run that begins knows nothing yet: it takes the watch, and reports, once it saw so much of each entry."""
CARRIED_SECONDS = 30.0
"""How old the word of the run before may be for this one to go on counting from it."""
BLIND = "this vantage point is blind: it reaches no other Region's entry and no other Region's endpoint"

logger = logging.getLogger("standfast.region_watch")


class RegionWatch:
    """One run. `vantage` is the Region in which it runs."""

    def __init__(
        self,
        vantage: str,
        config: FleetConfig,
        relay: RelayStore,
        sights: SightStore,
        prober: Prober,
        controls: Controls,
        desk: RegionDesk,
        clock: Clock,
    ) -> None:
        self._vantage = vantage
        self._config = config
        self._relay = relay
        self._sights = sights
        self._prober = prober
        self._controls = controls
        self._desk = desk
        self._clock = clock
        self._probes: dict[str, deque[EndpointProbe]] = {
            region: deque(maxlen=REMEMBERED) for region in sorted(config.regions)
        }
        self._judged: dict[str, Judgement] = {}
        self._since: dict[str, float] = {}
        self._reports = False
        self._written: dict[str, tuple[Verdict, float]] = {}
        self._blind_since: float | None = None
        self._at_desk: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, until: float) -> WatchReport:
        """Look until a later run has the watch, or until the given time (seconds since the epoch).

        It reports nothing before what it saw is settled: the run before it goes on until then.
        """
        generation = await asyncio.to_thread(self._relay.enter)
        await self._carry_on()
        passes, reason = 0, "the time is up and no later run has the watch"
        while self._clock.now() < until:
            began = self._clock.now()
            if passes and await self._is_relieved(generation):
                reason = "a later run has the watch"
                break
            await asyncio.gather(*(self._look(region) for region in self._probes))
            passes += 1
            if not self._reports and (self._is_settled() or passes >= SETTLING_PASSES):
                await asyncio.to_thread(self._relay.take_over, generation)
                self._reports = True
            if self._reports:
                self._report()
                self._sit_down()
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

    async def _carry_on(self) -> None:
        """Since when an entry fails, this run cannot know: the run before it wrote it down."""
        try:
            sights = await asyncio.to_thread(self._sights.sights)
        except StandfastError as error:
            logger.warning("what was seen before cannot be read, so it is counted anew: %s", error)
            return
        for sight in sights:
            fresh = self._clock.now() - sight.seen_at <= CARRIED_SECONDS
            if sight.vantage == self._vantage and fresh and sight.since is not None:
                self._since[sight.region] = sight.since

    def _is_settled(self) -> bool:
        return all(judged.verdict is not Verdict.DEGRADED for judged in self._judged.values())

    async def _look(self, region: str) -> None:
        """One canary by the way that users take, and what it says together with those before it."""
        model, probes = self._config.model, self._probes[region]
        url = self._config.regions[region].entry.url
        suspect = bool(probes) and not probes[-1].passed
        control = asyncio.create_task(self._sees_out(region)) if suspect else None
        probes.append(await self._prober.ask(url, model.name, model.canary))
        judged = judge_entry(list(probes), self._config.detection, self._clock.now())
        sees = await control if control is not None else True
        if judged.verdict is Verdict.UNHEALTHY and not sees:
            judged = replace(judged, verdict=Verdict.UNKNOWN, reason=BLIND)
        if judged.verdict is Verdict.HEALTHY:
            self._since.pop(region, None)
        elif judged.since is not None:  # of the probes that are remembered: it may fail for longer
            judged = replace(judged, since=min(judged.since, self._since.setdefault(region, judged.since)))
        self._judged[region] = judged

    def _report(self) -> None:
        """Write down what is news, and from time to time what is not."""
        now = self._clock.now()
        for region, judged in self._judged.items():
            before = self._written.get(region)
            if before is not None and before[0] is judged.verdict and now - before[1] < WRITE_SECONDS:
                continue
            if before is None or before[0] is not judged.verdict:
                logger.info("%s is %s from here: %s", region, judged.verdict, judged.reason)
            self._written[region] = (judged.verdict, now)
            self._spawn(self._write(region, judged, now))

    async def _sees_out(self, region: str) -> bool:
        """Whether anybody but this Region answers from here: another entry, or another Region's endpoint.

        Of its own entry a Region needs nobody else to judge. Where no endpoint is known yet, nothing says that it is
        blind; and what it sees it can only tell by a table that needs another Region to write.
        """
        if region == self._vantage:
            return True
        others = [probes for name, probes in self._probes.items() if name not in (region, self._vantage)]
        if any(probes and probes[-1].passed for probes in others):
            return True
        urls = self._desk.controls()
        return not urls or any(await asyncio.gather(*(self._controls.answers(url) for url in urls)))

    def _sit_down(self) -> None:
        """What the tables take must not hold up the looking: each kind of work goes on beside it, one at a time."""
        now = self._clock.now()
        failing = [region for region in self._judged if self._fails_for_long(region, now)]
        self._begin("keep", lambda: self._desk.keep(now, often=self._vantage in failing))
        for region in failing:
            self._begin(f"judge {region}", lambda region=region: self._desk.judge(region, now))  # type: ignore[misc]
        blind = any(judged.reason == BLIND for judged in self._judged.values())
        self._blind_since = (self._blind_since or now) if blind else None
        if self._blind_since is not None and now - self._blind_since >= BLIND_SECONDS:
            self._begin("blind", lambda: self._desk.tell_blind(BLIND, now))

    def _fails_for_long(self, region: str, now: float) -> bool:
        """Before that nobody can be evacuated, and a cluster failover has the tables to itself."""
        judged = self._judged[region]
        long_enough = now - self._since.get(region, 0.0) >= self._config.region_moves.least_failing_seconds
        return judged.verdict is Verdict.UNHEALTHY and long_enough

    def _begin(self, name: str, work: Callable[[], object]) -> None:
        known = self._at_desk.get(name)
        if known is None or known.done():
            self._at_desk[name] = self._spawn(self._work(work))

    async def _work(self, work: Callable[[], object]) -> None:
        await asyncio.to_thread(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write(self, region: str, judged: Judgement, now: float) -> None:
        """Beside the probing: where the other Regions do not answer, a write takes seconds and fails."""
        sight = Sight(self._vantage, region, judged.verdict, judged.reason, now, judged.since)
        try:
            await asyncio.to_thread(self._sights.write_sight, sight)
        except StandfastError as error:
            self._written.pop(region, None)
            logger.warning("the sight of %s was not written, a later pass tries again: %s", region, error)
