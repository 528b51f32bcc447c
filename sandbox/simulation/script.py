"""The faults of one fleet-year, drawn in advance, so that every policy meets the same ones.

Failures of a replica are split by whom else they hit, as the calculator does (beta-factor): it alone, its cluster, its
Region, the fleet. Each source has a stream of its own: another rate stretches its gaps and leaves all others alone.
Durations are seconds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final
from zlib import crc32

from sandbox.simulation.chance import exponential

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.simulation.rates import Rates
    from sandbox.simulation.shape import RegionShape

HOUR: Final = 3600.0
YEAR: Final = 365 * 24 * HOUR
BEGINNING: Final = 1e9
"""When each year begins, in seconds since the epoch, as the decisions want their times: later than all their waits."""


class Kind(StrEnum):
    """What fails."""

    CRASH = "an engine crashes"
    HANG = "an engine hangs"
    GPU = "a GPU fails"
    NODE = "a node fails"
    OUTSIDE = "a common cause of GPUs or nodes"
    REGION = "a Region is lost"
    RELEASE = "a bad release"
    WATCH = "the watch ends"
    PLATFORM = "what Standfast runs on is away"
    BLIP = "the watch sees nothing, users do"
    STALL = "a crowd makes canaries late"


class Reach(IntEnum):
    """Whom it hits."""

    REPLICA = 0
    CLUSTER = 1
    REGION = 2
    FLEET = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `number` is its own in this year: what chance decides of it later is drawn by it.

    `lasts`: seconds, of one that passes by itself as a whole. `lots` are numbers from 0 to 1 for what it is like; of a
    bad release the first is the share of the Region's requests that it fails.
    """

    number: int
    at: float
    kind: Kind
    reach: Reach
    region: str = ""
    cluster: str = ""
    replica: int = 0
    lasts: float = 0.0
    lots: tuple[float, float, float] = (0.0, 0.0, 0.0)


def script(
    shapes: Sequence[RegionShape], rates: Rates, seed: int, year: int, losses: int, seconds: float = YEAR
) -> list[Fault]:
    """All faults of a fleet-year but releases, in order. `losses`: how many Regions are lost, as its stratum has."""
    sources = _Sources(rates, seed, year, seconds)
    for region in shapes:
        for cluster in region.clusters:
            where = (region.name, cluster.name)
            for replica in range(cluster.replicas):
                sources.of_hardware(1 - rates["beta"], Reach.REPLICA, cluster.gpus, *where, replica)
            share = rates["beta"] * (1 - rates["beta_clusters"])
            sources.of_hardware(share, Reach.CLUSTER, cluster.gpus, *where)
        share = rates["beta"] * rates["beta_clusters"] * (1 - rates["beta_regions"])
        sources.of_hardware(share, Reach.REGION, region.active.gpus, region.name)
        sources.of_watching(region.name)
    share = rates["beta"] * rates["beta_clusters"] * rates["beta_regions"]
    sources.of_hardware(share, Reach.FLEET, shapes[0].active.gpus)
    sources.lose(losses, [region.name for region in shapes])
    return sorted(sources.found, key=lambda fault: (fault.at, fault.number))


class _Sources:
    def __init__(self, rates: Rates, seed: int, year: int, seconds: float) -> None:
        self.found: list[Fault] = []
        self._rates = rates
        self._key = key_of(seed, year)
        self._seconds = seconds

    def of_hardware(
        self, share: float, reach: Reach, gpus: int, region: str = "", cluster: str = "", replica: int = 0
    ) -> None:
        """A share of one replica's failures: of its engine, its node and its GPUs."""
        rates, where = self._rates, (region, cluster, replica)
        self.add(Kind.CRASH, reach, share / (rates["engine_mtbf_hours"] * HOUR), 0.0, *where)
        common = reach is not Reach.REPLICA
        lasts = rates["common_hours"] * HOUR if common else 0.0
        node, gpu = (Kind.OUTSIDE, Kind.OUTSIDE) if common else (Kind.NODE, Kind.GPU)
        self.add(node, reach, share / (rates["node_mtbf_hours"] * HOUR), lasts, *where, of="nodes")
        self.add(gpu, reach, share * gpus / (rates["gpu_mtbf_hours"] * HOUR), lasts, *where, of="GPUs")

    def of_watching(self, region: str) -> None:
        """What befalls Standfast itself, and what it may take for a failure."""
        rates, hour = self._rates, HOUR
        self.add(Kind.WATCH, Reach.REGION, 1 / (rates["watch_mtbf_hours"] * hour), 0.0, region)
        away = rates["platform_mttr_hours"] * hour
        self.add(Kind.PLATFORM, Reach.REGION, 1 / (rates["platform_mtbf_hours"] * hour), away, region)
        self.add(Kind.BLIP, Reach.REGION, 1 / (rates["blip_mtbf_hours"] * hour), rates["blip_seconds"], region)
        self.add(Kind.STALL, Reach.REGION, 1 / (rates["stall_mtbf_hours"] * hour), rates["stall_seconds"], region)

    def add(
        self, kind: Kind, reach: Reach, per_second: float, mean: float, region: str = "", cluster: str = "",
        replica: int = 0, of: str = "",
    ) -> None:  # fmt: skip
        """A Poisson stream. Each fault takes the same number of draws, so that none shifts those after it."""
        name = f"{kind.name}/{of}/{reach:d}/{region}/{cluster}/{replica}"
        for number, at, draws in stream(self._key, name, per_second, self._seconds):
            drawn = kind
            if kind is Kind.CRASH and draws[1] < self._rates["engine_hang_share"]:
                drawn = Kind.HANG
            lasts = exponential(mean, draws[0])
            self.found.append(Fault(number, BEGINNING + at, drawn, reach, region, cluster, replica, lasts, draws[1:]))

    def lose(self, losses: int, names: Sequence[str]) -> None:
        """Regions that are lost: so many, at any time, any of them."""
        chance, first = _chance(self._key, "losses")
        for place in range(losses):
            at, which, drawn = chance.random() * self._seconds, chance.random(), chance.random()
            lasts = exponential(self._rates["region_mttr_hours"] * HOUR, drawn)
            name = names[int(which * len(names))]
            number = first + place
            self.found.append(Fault(number, BEGINNING + at, Kind.REGION, Reach.REGION, name, lasts=lasts))


def key_of(seed: int, year: int) -> str:
    """What all chance of a year's script goes by."""
    return f"{seed}/{year}"


def stream(
    key: str, name: str, per_second: float, seconds: float
) -> Iterator[tuple[int, float, tuple[float, float, float, float]]]:
    """A Poisson stream of a year, whose `key` is: each fault's number, when (seconds from the beginning), four lots."""
    chance, number = _chance(key, name)
    if per_second <= 0:
        return
    at = 0.0
    while True:
        at += exponential(1 / per_second, chance.random())
        draws = (chance.random(), chance.random(), chance.random(), chance.random())
        if at >= seconds:
            return
        yield number, at, draws
        number += 1


def _chance(key: str, name: str) -> tuple[random.Random, int]:
    """The numbers of a stream, and the number of its first fault: its own whatever other streams there are."""
    return random.Random(f"{key}/{name}"), crc32(name.encode()) << 20
