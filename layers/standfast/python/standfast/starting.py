"""Starting a failover that was decided, once, and not against what another Region sees."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from standfast.errors import StandfastError
from standfast.outside import denial

if TYPE_CHECKING:
    from standfast.failover import StartDecision
    from standfast.health import Assessment
    from standfast.ports import Clock, Executions
    from standfast.stores import SightStore

START_AGAIN_SECONDS = 20.0
"""An execution takes the lease within a second or two; TakeLease and its retries give up before this."""
MINUTE_SECONDS = 60.0
DENIALS = 4
DENIAL_SECONDS = 0.25
"""Another Region sees a death up to a second later: it is asked again for so long, and then by later passes."""
SIGHT_SECONDS = 1.0
"""How long its table may take to answer. Where it does not, nobody denies anything."""

logger = logging.getLogger("standfast.watch")


class Starter:
    """What one run of the watch started. `trigger`: who asks for it."""

    def __init__(self, scope_id: str, executions: Executions, sights: SightStore, clock: Clock, trigger: str) -> None:
        self._scope_id = scope_id
        self._executions = executions
        self._sights = sights
        self._clock = clock
        self._trigger = trigger
        self._started: dict[str, float] = {}

    @property
    def started(self) -> tuple[str, ...]:
        """The names of the executions, also of those that are just being started."""
        return tuple(sorted(self._started))

    def take_name(self, name: str) -> str | None:
        """The name to start under now, or None while an earlier start may still take the lease.

        An execution that ended before it took the lease has used its name up for 90 days and changed nothing: the
        failure is as it was, and so is the decision. It is started again under a name of that minute.
        """
        now = self._clock.now()
        if name in self._started:
            if now - max(self._started.values()) < START_AGAIN_SECONDS:
                return None
            name = f"{name}-{now // MINUTE_SECONDS:.0f}"
        self._started[name] = now
        return name

    async def start(self, name: str, decision: StartDecision, assessment: Assessment) -> None:
        """Start it, unless another Region sees the service answer. What was not started the next pass tries again."""
        detected_at = self._clock.now()
        if denied := await self._denied():
            self._started.pop(name, None)
            logger.warning("%s, but %s; nothing is started", decision.reason, denied)
            return
        payload = {
            "mode": "failover",
            "scope_id": self._scope_id,
            "incident_id": decision.incident_id,
            "failed_cluster_id": decision.failed_cluster_id,
            "reason": decision.reason,
            "failed_since": assessment.since or assessment.assessed_at,
            "detected_at": detected_at,
            "trigger": self._trigger,
        }
        try:
            started = await asyncio.to_thread(self._executions.start_failover, name, payload)
        except StandfastError:
            self._started.pop(name, None)
            logger.exception("the failover %s could not be started", name)
            return
        told = "started" if started else "was started already"
        logger.warning("failover %s %s: %s", name, told, decision.reason)

    async def _denied(self) -> str:
        """Who denies it, still, after a moment in which a Region that looks as often as this one sees it too."""
        found = await self._denial()
        for _ in range(DENIALS - 1):
            if not found:
                break
            await self._clock.sleep(DENIAL_SECONDS)
            found = await self._denial()
        return found

    async def _denial(self) -> str:
        try:
            async with asyncio.timeout(SIGHT_SECONDS):
                sights = await asyncio.to_thread(self._sights.sights)
        except (StandfastError, TimeoutError) as error:
            logger.warning("what other Regions see cannot be read, so nobody denies it: %s", error)
            return ""
        return denial(self._scope_id, sights, self._clock.now())
