"""The watch: a canary to every replica each second, a verdict at once, and the relay between two runs.

Everything is asked through ports, so that tests and the simulation run it without a network and in their own time.
Probes overlap: a pass begins every second, whether or not the probes of the pass before have ended.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import watch_figures
from standfast.brake import Brake, Switch
from standfast.emf import HIGH_RESOLUTION
from standfast.errors import StandfastError, TransientError
from standfast.failover import StartAction, StartDecision, decide_start
from standfast.fleet import Automation, Role
from standfast.observation import Observation
from standfast.starting import Starter

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from standfast.fleet_store import FleetStore
    from standfast.health import Assessment, Verdict
    from standfast.ports import Clock, Executions, Metrics, Prober
    from standfast.stores import EvidenceStore, View, WatchStore

PASS_SECONDS = 1.0
WRITE_SECONDS = 5.0
"""How old a written assessment may get: this, or half of the age at which it proves nothing; by the nearest pass."""
METRIC_SECONDS = 5.0
"""Alarms look at periods of 10 s: each holds a figure even when a pass is late."""
SETTLED_PASSES = 2
"""Good passes after which a look has seen enough."""
SETTLING_PASSES = 6
"""Passes after which a run takes the watch whatever it saw: a probe is over in 2 s."""
VIEW_SECONDS = 2.0
"""How long a pass waits for the state table: the probes must go on while it hangs."""

logger = logging.getLogger("standfast.watch")


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What one run did."""

    generation: int
    passes: int
    reason: str
    started: tuple[str, ...]


class Watch:
    """One run of the watch over one scope."""

    def __init__(
        self,
        scope_id: str,
        store: WatchStore,
        switches: FleetStore,
        evidence: EvidenceStore,
        executions: Executions,
        prober: Prober,
        clock: Clock,
        metrics: Metrics,
        trigger: str = "watch",
    ) -> None:
        self._scope_id = scope_id
        self._store = store
        self._switches = switches
        self._evidence = evidence
        self._starter = Starter(scope_id, executions, switches, clock, trigger)
        self._observation = Observation(scope_id, prober, self._judge)
        self._clock = clock
        self._metrics = metrics
        self._unpublished = 0
        self._published_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._view: View | None = None
        self._brake = Brake(Switch(Automation.OBSERVE, "the switches were not read yet", "", 0.0))
        self._controls_pass = True
        self._reports = True
        self._written: dict[str, tuple[tuple[Verdict, int, int], float]] = {}
        self._said: dict[str, str] = {}
        self._decision = StartDecision(StartAction.NONE, "nothing was looked at yet")

    async def run(self, until: float) -> WatchReport:
        """Watch until a later run has the watch, or until the given time. Raises what the first view raises.

        A run begins with no evidence: it would say for a second or two that a replica passes which is down. So it takes
        the watch once what it saw is settled, and reports nothing before: the run before it goes on.
        """
        self._view = view = await asyncio.to_thread(self._store.view)
        await self._read_brake()
        generation = await asyncio.to_thread(self._store.enter)
        passes, reason = 0, "the time is up and no later run has the watch"
        self._reports = False
        next_pass = self._clock.now()
        while self._clock.now() < until:
            if passes and await self._is_relieved(generation):
                reason = "a later run has the watch"
                break
            first_probes = self._observation.begin_pass(self._view, self._spawn)
            if passes == 0:
                await asyncio.wait(first_probes)
            passes += 1
            if not self._reports and (self._observation.is_settled(view) or passes >= SETTLING_PASSES):
                await asyncio.to_thread(self._store.take_over, generation)
                self._reports = True
            self._judge()
            if self._reports:
                self._spawn(self._write())
                self._publish()
            next_pass = max(next_pass + PASS_SECONDS, self._clock.now())
            await self._clock.sleep(max(0.0, next_pass - self._clock.now()))
        await self._finish()
        return WatchReport(generation, passes, reason, self._starter.started)

    async def look(self, until: float) -> StartDecision:
        """Look until it is settled what to do, or until the given time, beside a watch that may run or not.

        A second way in: it takes its own evidence, decides by the same rules and starts the same execution by name, so
        that it does no harm where the watch has done it already. What it saw is written, for whoever proves a standby.
        """
        self._view = await asyncio.to_thread(self._store.view)
        await self._read_brake()
        good = 0
        while good < SETTLED_PASSES and not self._starter.started and self._clock.now() < until:
            began = self._clock.now()
            if probing := self._observation.begin_pass(self._view, self._spawn):
                await asyncio.wait(probing, timeout=PASS_SECONDS)
            decision = self._judge()
            good = good + 1 if decision.action is StartAction.NONE and self._observation.all_answered else 0
            if decision.action is StartAction.HOLD:
                break
            await self._clock.sleep(max(0.0, began + PASS_SECONDS - self._clock.now()))
            await self._read_view()
        await self._write()
        await self._finish()
        return self._decision

    async def _is_relieved(self, generation: int) -> bool:
        await self._read_view()
        return self._controls_pass and self._view is not None and self._view.relay > generation

    async def _read_view(self) -> None:
        """Read the view anew; this read is also the control probe that tells a blind watch from a dead fleet."""
        try:
            async with asyncio.timeout(VIEW_SECONDS):
                self._view = await asyncio.to_thread(self._store.view)
        except (TransientError, TimeoutError) as error:
            if self._controls_pass:
                logger.warning("the state table does not answer: blind until it does: %s", error)
            self._controls_pass = False
            return
        except StandfastError:
            logger.exception("the state cannot be read; the watch goes on by what it knew")
            return
        if not self._controls_pass:
            self._observation.see_again(self._clock.now())
        self._controls_pass = True
        await self._read_brake()

    async def _read_brake(self) -> None:
        """What was last known stands while it cannot be read; before it was ever read, nothing is changed."""
        try:
            async with asyncio.timeout(VIEW_SECONDS):
                self._brake = await asyncio.to_thread(self._switches.glance_at_brake)
        except (StandfastError, TimeoutError) as error:
            logger.warning("the switches cannot be read, they stay as they were: %s", error)

    def assessments(self) -> dict[str, Assessment]:
        """Cluster id -> the judgement of all that was probed so far."""
        if self._view is None:
            return {}
        return self._observation.assessments(self._view, self._clock.now(), controls_pass=self._controls_pass)

    def _judge(self) -> StartDecision:
        """Decide on what is known now, and start a failover when it is called for."""
        if self._view is None:
            return self._decision
        assessments = self.assessments()
        decision = decide_start(self._scope_id, self._view.scope, assessments, self._brake, self._clock.now())
        self._say(assessments, decision)
        if decision.action is StartAction.START and (name := self._starter.take_name(decision.execution_name)):
            self._spawn(self._starter.start(name, decision, assessments[decision.failed_cluster_id]))
        self._decision = decision
        return decision

    def _say(self, assessments: Mapping[str, Assessment], decision: StartDecision) -> None:
        """Log each cluster's verdict and the decision when they change, in words."""
        if not self._reports:
            return
        for cluster_id, assessment in assessments.items():
            if self._said.get(cluster_id) != assessment.verdict:
                self._said[cluster_id] = assessment.verdict
                logger.info("%s is %s: %s", cluster_id, assessment.verdict, assessment.reason)
        if self._said.get("decision") != decision.action:
            self._said["decision"] = decision.action
            logger.info("decision %s: %s", decision.action, decision.reason)

    async def _write(self) -> None:
        """Write the assessments that changed or whose last writing is getting old.

        A reason that is worded otherwise is no change, one replica less or one more that is saturated is.
        """
        if self._view is None:
            return
        now = self._clock.now()
        old = min(WRITE_SECONDS, self._view.applied.config.detection.fresh_seconds / 2) - PASS_SECONDS / 2
        due = [
            assessment
            for cluster_id, assessment in self.assessments().items()
            if (before := self._written.get(cluster_id)) is None
            or before[0] != assessment.gist
            or now - before[1] >= old
        ]
        if not due:
            return
        self._written.update({assessment.cluster_id: (assessment.gist, now) for assessment in due})
        try:
            await asyncio.to_thread(self._evidence.write_assessments, due)
        except TransientError as error:
            for assessment in due:
                self._written.pop(assessment.cluster_id, None)
            logger.warning("assessments were not written, the next pass tries again: %s", error)

    def _publish(self) -> None:
        """What alarms look at: that the watch watches, whether the active cluster is down, how many replicas pass."""
        now = self._clock.now()
        self._unpublished += 1
        if self._view is None or now - self._published_at < METRIC_SECONDS - PASS_SECONDS / 2:
            return
        active = self._view.scope.desired.cluster_with(Role.ACTIVE) or ""
        watch_figures.publish(self._metrics, self.assessments(), active, self._unpublished, self._counted(), now)
        self._unpublished, self._published_at = 0, now

    def _counted(self) -> Mapping[str, int]:
        """The canaries through the entry since the last time; those of a blind watch say nothing of users."""
        counted = self._observation.take_counted()
        return counted if self._controls_pass else {}

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A fault in one probe's handling must be seen, and must not end the watch."""
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            logger.error("a part of the watch failed", exc_info=fault)

    async def _finish(self) -> None:
        """Wait for what is under way, and for what that begins: a failover that was decided is started."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        if counted := self._counted():
            self._metrics.put(counted, self._clock.now(), resolution=HIGH_RESOLUTION)
