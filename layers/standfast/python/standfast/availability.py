"""Availability in the long run: what fails, how often, for how long, and what redundancy makes of it. Pure.

Everything is a `Part`: the share of time that it is down, and how often it goes down. Parts are made of parts: all of
them needed (`series`), one enough (`parallel`), k of n (`k_of_n`, `grouped`), one in the place of another
(`switchover`), a share of the failures common to all (`thinned`). Unavailability is computed, not 1 - availability:
sums of positive terms only, so that the ninth nine is as exact as the first.

The formulas are the steady state of Markov processes with constant rates: Birolini, Reliability Engineering (5th ed.,
2007), chapter 6 (series and parallel structures, k out of n; incomplete coverage in 6.8); failure frequencies
by Birnbaum's importance, as in Barlow and Proschan, Statistical Theory of Reliability (1975). Parts fail and are
repaired independently of each other, unless a common cause is given. Times are hours unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTES_PER_YEAR = 365 * 24 * 60
HOURS_PER_YEAR = 365 * 24


@dataclass(frozen=True, slots=True)
class Part:
    """Something that fails and comes back: the share of time that it is down, and how often an hour it goes down."""

    unavailability: float
    failures_per_hour: float

    @property
    def availability(self) -> float:
        """The share of time that it is up."""
        return 1 - self.unavailability

    @property
    def minutes_per_year(self) -> float:
        """Minutes down in a year of 365 days."""
        return self.unavailability * MINUTES_PER_YEAR

    @property
    def failures_per_year(self) -> float:
        """How often it goes down in a year of 365 days."""
        return self.failures_per_hour * HOURS_PER_YEAR

    @property
    def mean_down_hours(self) -> float:
        """How long it is down each time; 0 for what never fails."""
        return self.unavailability / self.failures_per_hour if self.failures_per_hour else 0.0


PERFECT = Part(0.0, 0.0)
"""Never fails."""


def repairable(mtbf_hours: float, mttr_hours: float) -> Part:
    """Up for `mtbf_hours` in the mean (it may be infinite), then down for `mttr_hours`: A = MTBF / (MTBF + MTTR).

    Raises InvalidInputError when a time is not positive; a repair may take no time.
    """
    if not mtbf_hours > 0:
        raise InvalidInputError(f"mtbf_hours is {mtbf_hours}: give the mean hours between two failures, above 0")
    if not (mttr_hours >= 0 and math.isfinite(mttr_hours)):
        raise InvalidInputError(f"mttr_hours is {mttr_hours}: give the mean hours of a repair, 0 or more")
    return Part(mttr_hours / (mtbf_hours + mttr_hours), 1 / (mtbf_hours + mttr_hours))


def thinned(mtbf_hours: float, mttr_hours: float, share: float) -> Part:
    """What a share of the failures makes: the same repair, so much rarer. The building block of the beta-factor.

    A unit's rate is split into what hits it alone, (1 - beta) of it, and what hits all of its kind at once, beta of it
    (IEC 61508-6, Annex D). Raises InvalidInputError when the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise InvalidInputError(f"share is {share}: give the share of the failures, 0 to 1")
    return repairable(mtbf_hours / share, mttr_hours) if share > 0 else PERFECT


def series(*parts: Part) -> Part:
    """All of them are needed: A is the product of theirs."""
    if any(part.unavailability >= 1 for part in parts):
        return Part(1.0, 0.0)
    logs = [math.log1p(-part.unavailability) for part in parts]
    total = math.fsum(logs)
    # A failure of one is a failure of all while the others are up.
    rates = (part.failures_per_hour * math.exp(total - log) for part, log in zip(parts, logs, strict=True))
    return Part(-math.expm1(total), math.fsum(rates))


def parallel(*parts: Part) -> Part:
    """One of them is enough: U is the product of theirs."""
    if not parts:
        return Part(1.0, 0.0)
    others = [
        math.prod(other.unavailability for at, other in enumerate(parts) if at != here) for here in range(len(parts))
    ]
    rates = (part.failures_per_hour * down for part, down in zip(parts, others, strict=True))
    return Part(math.prod(part.unavailability for part in parts), math.fsum(rates))


def k_of_n(needed: int, of: int, unit: Part) -> Part:
    """At least `needed` of `of` units alike: U = sum over i < k of C(n, i) A^i U^(n-i).

    Raises InvalidInputError when `needed` is not 1 to `of`.
    """
    return grouped(needed, nodes=of, units_per_node=1, node=PERFECT, unit=unit)


def grouped(needed: int, *, nodes: int, units_per_node: int, node: Part, unit: Part) -> Part:
    """At least `needed` units, which stand in equal numbers on nodes: a node that is down takes all of its units along.

    A unit is what serves: one GPU, or a tensor-parallel group that needs all of its GPUs (`series`). Raises
    InvalidInputError when a number is less than 1 or `needed` is more than there are.
    """
    if nodes < 1 or units_per_node < 1:
        raise InvalidInputError(f"nodes is {nodes} and units_per_node {units_per_node}: give 1 or more of each")
    if not 1 <= needed <= nodes * units_per_node:
        raise InvalidInputError(f"needed is {needed} of {nodes * units_per_node}: give 1 to {nodes * units_per_node}")
    on_node = _binomial(units_per_node, unit.unavailability)
    one = [node.availability * share for share in on_node]
    one[0] += node.unavailability
    others = [1.0]
    for _ in range(nodes - 1):
        others = _convolved(others, one)
    # How many units go with a node: then `needed` to `needed - up` others are not enough without it.
    node_matters = math.fsum(
        share * math.fsum(others[max(needed - up, 0) : needed]) for up, share in enumerate(on_node) if up
    )
    unit_matters = node.availability * math.fsum(
        share * others[needed - 1 - up]
        for up, share in enumerate(_binomial(units_per_node - 1, unit.unavailability))
        if 0 <= needed - 1 - up < len(others)
    )
    failures = nodes * (node.failures_per_hour * node_matters + units_per_node * unit.failures_per_hour * unit_matters)
    return Part(math.fsum(_convolved(others, one)[:needed]), failures)


def _binomial(number: int, unavailability: float) -> list[float]:
    """The chance of 0, 1, ... `number` units up."""
    up = 1 - unavailability
    return [math.comb(number, i) * up**i * unavailability ** (number - i) for i in range(number + 1)]


def _convolved(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """The distribution of a sum of two numbers that do not depend on each other."""
    found = [0.0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            found[i + j] += a * b
    return found


@dataclass(frozen=True, slots=True)
class Takeover:
    """How a standby takes over: `seconds` when the failure is seen and the move works, which it does with the chance
    `coverage`; else a person does it within `person_seconds`. Means, of exponential times.

    Raises InvalidInputError when a time is negative or the coverage not between 0 and 1.
    """

    seconds: float
    coverage: float
    person_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.coverage <= 1:
            raise InvalidInputError(f"coverage is {self.coverage}: give the share of failures that it masters, 0 to 1")
        for name, value in (("seconds", self.seconds), ("person_seconds", self.person_seconds)):
            if not (value >= 0 and math.isfinite(value)):
                raise InvalidInputError(f"{name} is {value}: give the mean seconds of a move, 0 or more")


@dataclass(frozen=True, slots=True)
class Switchover:
    """What is left of a pair's outages, each as a share of time.

    `moving`: the move is under way. `person`: it did not work and a person is on the way. `nothing_left`: neither
    serves. `lasting` is the last two as a part: what a level above would have to rescue.
    """

    moving: float
    person: float
    nothing_left: float
    lasting: Part

    @property
    def unavailability(self) -> float:
        """All three."""
        return self.moving + self.person + self.nothing_left


def switchover(active: Part, standby: Part, takeover: Takeover) -> Switchover:
    """The active serves, else the standby once it has taken over; back again costs nothing (a planned move).

    The steady state of the chain up -> moving or person -> moved -> up beside a standby that fails by itself.
    """
    if active.unavailability == 0:
        return Switchover(0.0, 0.0, 0.0, PERFECT)
    back_per_hour = active.failures_per_hour / active.unavailability
    moving_in, person_in = (
        1 / (1 + back_per_hour * seconds / 3600) for seconds in (takeover.seconds, takeover.person_seconds)
    )
    # The share of an outage that is over before the move is, or passes while it is under way.
    covered, uncovered = takeover.coverage, 1 - takeover.coverage
    moving = active.unavailability * covered * back_per_hour * takeover.seconds / 3600 * moving_in
    person = active.unavailability * uncovered * back_per_hour * takeover.person_seconds / 3600 * person_in
    moved = active.unavailability * (covered * moving_in + uncovered * person_in)
    nothing_left = moved * standby.unavailability
    failures = math.fsum(
        [
            active.failures_per_hour * uncovered,
            moved * standby.failures_per_hour,
            active.failures_per_hour * covered * moving_in * standby.unavailability,
        ]
    )
    return Switchover(moving, person, nothing_left, Part(person + nothing_left, failures))
