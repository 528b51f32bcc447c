"""The front door's active health checks: one loop for each registered target."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.fleet import wire
from sandbox.fleet.balancer import TargetHealth

if TYPE_CHECKING:
    from sandbox.fleet.balancer import TargetKey
    from sandbox.fleet.routing import Routing, Target


class HealthChecks:
    """`health` holds every target of the routing in force, and is changed in place."""

    def __init__(self) -> None:
        self.health: dict[TargetKey, TargetHealth] = {}
        self._loops: dict[TargetKey, asyncio.Task[None]] = {}

    def apply(self, routing: Routing) -> None:
        """Checks these targets from now on. What is known of a target that stays as it was is kept."""
        wanted = {
            (arn, target.target_id, target.port): (group, target)
            for arn, group in routing.target_groups.items()
            for target in group.targets
        }
        for key in self.health.keys() - wanted.keys():
            self._forget(key)
        for key, (group, target) in wanted.items():
            known = self.health.get(key)
            if known is not None and known.target == target:
                known.group = group
                continue
            self._forget(key)
            self.health[key] = TargetHealth(group, target)
            self._loops[key] = asyncio.create_task(_check_for_ever(self.health[key]))

    def _forget(self, key: TargetKey) -> None:
        self.health.pop(key, None)
        loop = self._loops.pop(key, None)
        if loop is not None:
            loop.cancel()


async def _check_for_ever(health: TargetHealth) -> None:
    """One check an interval. How long a check takes does not move the next one: the time-out is shorter than that."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        passed = await _passes(health.target, health.group.health_path, health.group.timeout_seconds)
        health.record(passed=passed)
        due += health.group.interval_seconds
        await asyncio.sleep(due - loop.time())


async def _passes(target: Target, path: str, timeout_seconds: float) -> bool:
    """Whether the target answers 200 in time; on a connection of its own, closed afterwards."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(target.address, target.port)
            headers = (
                ("Host", f"{target.address}:{target.port}"),
                ("User-Agent", "ELB-HealthChecker/2.0"),
                ("Connection", "close"),
            )
            writer.write(wire.write_head(f"GET {path} HTTP/1.1", headers))
            answer = await wire.read_head(reader)
            return answer is not None and answer.status == 200
    except (OSError, TimeoutError, wire.WireError):
        return False
    finally:
        if writer is not None:
            writer.close()
