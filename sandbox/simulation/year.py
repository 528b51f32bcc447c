"""One fleet-year under one policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sandbox.simulation.agenda import Agenda
from sandbox.simulation.control import Control
from sandbox.simulation.front import FrontDoor
from sandbox.simulation.peers import Peer
from sandbox.simulation.region_moves import RegionMoves
from sandbox.simulation.script import BEGINNING, YEAR
from sandbox.simulation.world import World
from standfast.watch import PASS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.simulation.rates import Rates
    from sandbox.simulation.script import Fault
    from sandbox.simulation.shape import RegionShape
    from standfast.fleet import FleetConfig

STANDFAST: Final = "standfast"


@dataclass(frozen=True, slots=True)
class Setting:
    """A fleet with a policy, a row of a table. `pass_seconds`: between two canaries of the watch."""

    policy: str
    config: FleetConfig
    rates: Rates
    pass_seconds: float = PASS_SECONDS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fleet-year. `lost`: cause -> seconds of the whole service; `counts` by name."""

    lost: Mapping[str, float]
    down: float
    counts: Mapping[str, int]
    move_seconds: Sequence[float] = field(default=())

    @property
    def lost_seconds(self) -> float:
        """Of all causes."""
        return sum(self.lost.values())


def live(
    setting: Setting,
    shapes: Sequence[RegionShape],
    faults: Sequence[Fault],
    seed: int,
    year: int,
    seconds: float = YEAR,
) -> Outcome:
    """Let a fleet-year pass."""
    agenda = Agenda(BEGINNING)
    world = World(shapes, setting.rates, agenda, seed, year)
    door = FrontDoor(world)
    regions = list(world.regions.values())
    standfast: list[Control] = []
    moves_of_regions: RegionMoves | None = None
    peers: list[Peer] = []
    if setting.policy == STANDFAST:
        standfast = [Control(world, region, setting.config, setting.pass_seconds) for region in regions]
        controls = {control.region.name: control for control in standfast}
        moves_of_regions = RegionMoves(world, controls, setting.config, door)
    else:
        peers = [Peer(world, region, setting.policy) for region in regions]
    for fault in faults:
        agenda.at(fault.at, partial(world.strike, fault))
    agenda.run(BEGINNING + seconds)
    world.books.advance(agenda.now)
    counts: Counter[str] = Counter(door.found)
    if moves_of_regions is not None:
        counts.update(moves_of_regions.found)
    for control in standfast:
        counts["failovers begun"] += control.executions
        counts["failovers given up"] += control.gave_up
        counts["pages"] += control.pages
        counts["recoveries"] += sum(each.begun for each in control.mending.values())
        counts["recoveries given up"] += sum(each.gave_up for each in control.mending.values())
    referees = [*(each.referee for each in standfast), *(each.referee for each in peers)]
    for referee in referees:
        counts.update(referee.found)
    counts["faults"] = len(faults)
    counts["events"] = agenda.happened
    moves = [each for referee in referees for each in referee.seconds]
    return Outcome(dict(world.books.lost), world.books.down, dict(counts), moves)
