"""Route 53 between the Regions, as documented. Its checks of the front doors are the same for every policy.

A health check asks the load balancer's /health each 10 s; three failures in a row make a Region unhealthy, and its
users are answered with the next healthy one. They notice when what they remember expires, in the mean after half the
TTL. With no Region healthy Route 53 answers as if all were. A Region that Standfast condemns is left in the same way.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sandbox.simulation.world import Look

if TYPE_CHECKING:
    from sandbox.simulation.agenda import Event
    from sandbox.simulation.world import Region, World

FALSE_MOVE: Final = "a Region that served was left"


class FrontDoor:
    """Its health checks, one a Region."""

    def __init__(self, world: World) -> None:
        self.found: Counter[str] = Counter()
        self._world = world
        self._healthy = dict.fromkeys(world.regions, True)
        self._condemned: set[str] = set()
        self._pending: dict[str, Event] = {}
        self._looks = 0
        for region in world.regions.values():
            region.watchers.append(Look(self.look, region))

    def look(self, region: Region) -> None:
        """A Region changed: does its check see what it saw before?"""
        sees, name = _passes(region), region.name
        pending = self._pending.pop(name, None)
        if sees is self._healthy[name]:
            if pending is not None:
                pending.cancel()
            return
        if pending is not None and pending.is_pending:
            self._pending[name] = pending
            return
        rates, agenda = self._world.rates, self._world.agenda
        self._looks += 1
        phase = self._world.draw(4, region.number, int(agenda.now))
        seen = rates["route53_interval_seconds"] * (rates["route53_failures"] - 1 + phase)
        self._pending[name] = agenda.after(
            seen + rates["route53_ttl_seconds"] / 2, lambda: self._turn(region, healthy=sees)
        )

    def condemn(self, region: Region) -> None:
        """Standfast says that it must not serve: Route 53 asks the endpoints, and clients forget the old answer."""
        rates = self._world.rates
        self._condemned.add(region.name)
        wait = rates["condemned_seconds"] + rates["route53_ttl_seconds"] / 2
        self._world.agenda.after(wait, lambda: self._leave(region))

    def lift(self, region: Region) -> None:
        """It may serve again."""
        self._condemned.discard(region.name)
        self._send()

    def _leave(self, region: Region) -> None:
        if region.name in self._condemned:
            self._count(region)
            self._send()

    def _turn(self, region: Region, *, healthy: bool) -> None:
        self._healthy[region.name] = healthy
        self._pending.pop(region.name, None)
        if not healthy:
            self._count(region)
        self._send()

    def _count(self, region: Region) -> None:
        if not region.lost and region.shares(1)[1] >= 1:
            self.found[FALSE_MOVE] += 1

    def _send(self) -> None:
        names = list(self._world.regions)
        open_for = {name: self._healthy[name] and name not in self._condemned for name in names}
        for place, home in enumerate(names):
            order = names[place:] + names[:place]
            to = next((name for name in order if open_for[name]), home)
            if self._world.users[home] != to:
                self._world.send_users(home, to)


def _passes(region: Region) -> bool:
    """Whether the entry answers /health: enough checkers meet a target that says that it is well (18 % are enough)."""
    if region.lost:
        return False
    late = any(fault.lots[2] < region.stall_fails_health for fault in region.stalls)
    return not late and any(not replica.health_fails for replica in region.targets())
