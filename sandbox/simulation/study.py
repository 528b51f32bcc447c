"""Many fleet-years on all cores: every setting meets the same faults, and years with the loss of a Region are strata.

A year is drawn by its number and the seed, so that a study is the same whatever number of processes it runs on. Losses
of a Region are rare and cost much: years without, with one and with more are drawn in numbers of our choosing, and
weighed by how likely each is (stratified sampling; Poisson).
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from sandbox.simulation import shape, year
from sandbox.simulation.books import CAUSES
from sandbox.simulation.chance import lot
from sandbox.simulation.rollouts import bad_releases
from sandbox.simulation.script import HOUR, YEAR, script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.simulation.rates import Rates
    from sandbox.simulation.script import Fault
    from sandbox.simulation.year import Outcome, Setting

STRATA: Final = (0.6, 0.25, 0.15)
"""Of the years: those with no Region lost, with one, with more."""
CHUNK: Final = 5
SAY_SECONDS: Final = 10.0
NORMAL: Final = 1.96
"""Of a normal distribution: 95 % lie within so many standard deviations."""


@dataclass(slots=True)
class Tally:
    """What came of one setting: each year's outcome by its number, with the stratum that it belongs to.

    `chances` are the strata's.
    """

    chances: Sequence[float]
    outcomes: dict[int, tuple[int, Outcome]] = field(default_factory=dict)

    def mean(self, of: Callable[[Outcome], float]) -> tuple[float, float]:
        """A figure a fleet-year, and half of its 95 % interval."""
        return weighed(
            [[of(found) for _, (at, found) in sorted(self.outcomes.items()) if at == each] for each in range(3)],
            self.chances,
        )

    def minus(self, other: Tally, of: Callable[[Outcome], float]) -> tuple[float, float]:
        """How much more of a figure than under another setting, year by year, and half of its 95 % interval."""
        both = [(at, of(found) - of(other.outcomes[number][1])) for number, (at, found) in self.outcomes.items()]
        return weighed([[value for at, value in both if at == each] for each in range(3)], self.chances)

    def counted(self, name: str) -> float:
        """How often something happened a fleet-year."""
        return self.mean(lambda found: found.counts.get(name, 0))[0]

    @property
    def minutes(self) -> tuple[float, float]:
        """Minutes of the whole service lost a fleet-year, and half of the 95 % interval."""
        return self.mean(lambda found: found.lost_seconds / 60)

    def minutes_by_cause(self) -> dict[str, float]:
        """The same by cause, the greatest first."""
        minutes = {name: self.mean(partial(_minutes_by, name))[0] for name in CAUSES}
        return dict(sorted(minutes.items(), key=lambda each: -each[1]))


def _minutes_by(cause: str, found: Outcome) -> float:
    return found.lost[cause] / 60


def weighed(values: Sequence[Sequence[float]], chances: Sequence[float]) -> tuple[float, float]:
    """The mean of a stratified sample and half of its 95 % interval. A stratum without a sample counts for nothing."""
    mean = variance = 0.0
    for found, chance in zip(values, chances, strict=True):
        if not found:
            continue
        middle = math.fsum(found) / len(found)
        mean += chance * middle
        if len(found) > 1:
            spread = math.fsum((each - middle) ** 2 for each in found) / (len(found) - 1)
            variance += chance**2 * spread / len(found)
    return mean, NORMAL * math.sqrt(variance)


def chances(rates: Rates, regions: int) -> tuple[float, float, float]:
    """How likely a year has no, one, or more losses of a Region."""
    expected = regions * YEAR / (rates["region_mtbf_hours"] * HOUR)
    none = math.exp(-expected)
    return none, expected * none, 1 - none - expected * none


def stratum(number: int, years: int) -> int:
    """The stratum of a year by its number: the first years have none lost, the last ones more than one."""
    return 0 if number < STRATA[0] * years else 1 if number < (STRATA[0] + STRATA[1]) * years else 2


def losses(at: int, expected: float, drawn: float) -> int:
    """How many Regions are lost in a year of a stratum; of the last, two or more as Poisson has it."""
    if at < 2 or not expected:
        return at
    number, likely = 2, expected**2 / 2 * math.exp(-expected)
    left = drawn * (1 - math.exp(-expected) * (1 + expected)) - likely
    while left > 0 and number < 20:
        number += 1
        likely *= expected / number
        left -= likely
    return number


def study(
    settings: Mapping[str, Setting], years: int, seed: int, processes: int | None, say: Callable[[str], None]
) -> dict[str, Tally]:
    """Run all settings. The first one is what progress tells of."""
    began = said = time.monotonic()
    first = next(iter(settings.values()))
    tallies = {name: Tally(chances(each.rates, len(each.config.regions))) for name, each in settings.items()}
    jobs = [(number, min(number + CHUNK, years)) for number in range(0, years, CHUNK)]
    # A sample that is told of early should hold years of all strata.
    jobs.sort(key=lambda job: lot(seed, job[0]))
    count = min(processes or os.cpu_count() or 1, len(jobs))
    context = get_context("fork")
    done = 0
    with context.Pool(count, _prepare, (settings, years, seed)) as pool:
        for found in pool.imap_unordered(_work, jobs):
            for name, number, at, outcome in found:
                tallies[name].outcomes[number] = (at, outcome)
            done = len(next(iter(tallies.values())).outcomes)
            now = time.monotonic()
            if now - said >= SAY_SECONDS:
                said = now
                minutes, half = next(iter(tallies.values())).minutes
                say(
                    f"  {done} of {years} fleet-years after {now - began:.0f} s: {first.policy} "
                    f"loses {minutes:.1f} ± {half:.1f} minutes a year so far"
                )
    return tallies


_given: tuple[Mapping[str, Setting], int, int]


def _prepare(settings: Mapping[str, Setting], years: int, seed: int) -> None:
    global _given
    _given = settings, years, seed


def _work(job: tuple[int, int]) -> list[tuple[str, int, int, Outcome]]:
    settings, years, seed = _given
    found = []
    for number in range(*job):
        at = stratum(number, years)
        scripts: dict[int, Sequence[Fault]] = {}  # of equal rates and fleets there is one
        for name, setting in settings.items():
            key = hash((id(setting.rates), id(setting.config)))
            if key not in scripts:
                scripts[key] = faults_of(setting, at, seed, number)
            found.append((name, number, at, one_year(setting, scripts[key], seed, number)))
    return found


def faults_of(setting: Setting, at: int, seed: int, number: int) -> list[Fault]:
    """The faults of a fleet-year of a stratum."""
    regions = shape.regions(setting.config)
    expected = len(regions) * YEAR / (setting.rates["region_mtbf_hours"] * HOUR)
    lost = losses(at, expected, lot(seed, number, 11))
    names = [region.name for region in regions]
    found = script(regions, setting.rates, seed, number, lost)
    found += bad_releases(setting.config, names, setting.rates, seed, number)
    return sorted(found, key=lambda fault: (fault.at, fault.number))


def one_year(setting: Setting, faults: Sequence[Fault], seed: int, number: int) -> Outcome:
    """One fleet-year under these faults."""
    return year.live(setting, shape.regions(setting.config), faults, seed, number)
