"""The simulation's own times against the sandbox's, on the same scripted fault: the whole active cluster at once.

What is compared is what a scenario's JSON holds (`python -m sandbox run cluster-failover --runs 20 --json FILE`): the
medians of detection, of decision to traffic, and of the recovery as the last client sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from sandbox.simulation import shape
from sandbox.simulation.agenda import Agenda
from sandbox.simulation.control import Control
from sandbox.simulation.script import BEGINNING, Fault, Kind, Reach
from sandbox.simulation.world import World
from standfast.errors import InvalidInputError
from standfast.watch import PASS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.simulation.rates import Rates
    from standfast.fleet import FleetConfig

SCENARIOS: Final = {"cluster-failover": Kind.CRASH, "engine-wedged": Kind.HANG}
WITHIN: Final = 0.2
TRIALS: Final = 400
_QUIET: Final = 100.0
KEYS: Final = ("detection_seconds", "decision_to_traffic_seconds", "recovery_seconds")


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure: as simulated, as measured, medians in seconds."""

    name: str
    simulated: float
    measured: float

    @property
    def apart(self) -> float:
        """How far the simulated one is off, as a share of the measured one."""
        return abs(self.simulated - self.measured) / self.measured

    @property
    def holds(self) -> bool:
        """Whether they agree."""
        return self.apart <= WITHIN


def scripted(kind: Kind, config: FleetConfig, rates: Rates, seed: int, trials: int = TRIALS) -> dict[str, float]:
    """The medians of many trials, each with the fault at another moment between two passes."""
    found: dict[str, list[float]] = {key: [] for key in KEYS}
    for trial in range(trials):
        agenda = Agenda(BEGINNING)
        world = World(shape.regions(config), {**rates, "cluster_coverage": 1.0}, agenda, seed, trial)
        region = next(iter(world.regions.values()))
        control = Control(world, region, config, PASS_SECONDS)
        at = BEGINNING + _QUIET + world.draw(12)
        fault = Fault(1, at, kind, Reach.CLUSTER, region.name, region.shape.active.name, lots=(0.0, 1.0, 1.0))
        agenda.at(at, partial(world.strike, fault))
        agenda.run(at + _QUIET)
        move = control.moves[0]
        found["detection_seconds"].append(move.decided_at - at)
        found["decision_to_traffic_seconds"].append(move.written_at - move.decided_at)
        found["recovery_seconds"].append(move.arrived_at + rates["last_client_seconds"] - at)
    return {key: median(values) for key, values in found.items()}


def compare(document: Mapping[str, Any], config: FleetConfig, rates: Rates, seed: int) -> list[Compared]:
    """Each figure of a scenario's report. Raises InvalidInputError for a report of another scenario."""
    name = str(document.get("scenario"))
    if name not in SCENARIOS:
        raise InvalidInputError(f"{name} is not simulated; give the report of {' or '.join(SCENARIOS)}")
    simulated = scripted(SCENARIOS[name], config, rates, seed)
    figures = document["figures"]
    measured = {key: figures[key]["median"] if isinstance(figures[key], dict) else figures[key] for key in KEYS}
    return [Compared(key, simulated[key], measured[key]) for key in KEYS if measured[key] is not None]
