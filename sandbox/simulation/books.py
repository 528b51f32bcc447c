"""Which requests were not served, and why: shares of time, integrated from change to change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sandbox.simulation.ills import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.simulation.world import Region, World

LOST: Final = "a Region is lost, its users are not elsewhere yet"
RELEASE: Final = "a bad release"
NOTHING: Final = "no cluster left in the Region"
MOVING: Final = "a failover under way"
UNMOVED: Final = "the active cluster is dead and nothing moves the traffic"
HUNG: Final = "a hung replica still gets requests"
DEAD: Final = "a dead replica still gets requests"
FEW: Final = "too few replicas for the traffic"
CAUSES: Final = (RELEASE, NOTHING, LOST, MOVING, UNMOVED, HUNG, DEAD, FEW)


class Books:
    """`lost`: cause -> seconds of the whole service. Users of the Regions count alike."""

    def __init__(self, world: World) -> None:
        self.lost: dict[str, float] = dict.fromkeys(CAUSES, 0.0)
        self.down = 0.0
        """Seconds in which no Region's users were served at all."""
        self._world = world
        self._until = world.agenda.now
        self.moving: set[str] = set()
        """Regions in which a failover is at work, or about to be."""

    def advance(self, now: float) -> None:
        """Write down what was since the last change."""
        seconds = now - self._until
        if seconds <= 0:
            return
        self._until = now
        world, each = self._world, seconds / len(self._world.users)
        crowds = Counter(world.users.values())
        unserved = 0.0
        for name, crowd in crowds.items():
            for cause, share in self._unserved(world.regions[name], crowd):
                self.lost[cause] += share * crowd * each
                unserved += share * crowd
        if unserved >= len(world.users) - 1e-9:
            self.down += seconds

    def _unserved(self, region: Region, crowd: float) -> Iterator[tuple[str, float]]:
        met, served = region.shares(crowd)
        if served and region.spoilt:
            yield RELEASE, served * min(1.0, sum(fault.lots[0] for fault in region.spoilt))
        if served >= 1:
            return
        if region.lost:
            yield LOST, 1.0
            return
        found = region.targets()
        serving = region.serving
        if not met and (serving is None or not any(region.candidates())):
            yield NOTHING, 1.0
        elif serving is not None and serving.is_dead:
            some = any(region.candidates())
            yield (MOVING if region.name in self.moving else UNMOVED) if some else NOTHING, 1 - served
        else:
            hung = any(replica.mode is Mode.HANGS for replica in found)
            yield HUNG if hung else DEAD, 1 - met
            yield FEW, met - served
