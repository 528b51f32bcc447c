"""Which of several replicas of one model is apart from the others.

They do the same work, so each is the measure of the others. The modified z-score of Iglewicz and Hoaglin (How to Detect
and Handle Outliers, 1993, section 3.3) stands on medians, so that the one that is apart does not widen the measure, as
it would a standard deviation. A score alone calls tiny differences large where all are alike: the difference must also
be one that a user feels.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

APART: Final = 3.5
"""The score from which they call a value an outlier."""
CONSISTENCY: Final = 0.6745
"""The median absolute deviation of a normal distribution, in standard deviations."""
FEWEST: Final = 3
"""Of two that differ nobody can say which one is apart."""
TIMES: Final = 2.0
"""A replica that takes twice as long as its siblings is felt."""
FELT: Final = 0.25
"""Below this part of the objective nobody waits, however far apart two replicas are."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """One that is apart: its value, its siblings' median, and the score."""

    name: str
    value: float
    middle: float
    score: float


def find_slow(took: Mapping[str, float], objective_seconds: float) -> Outlier | None:
    """The replica whose first token comes apart from its siblings', though within the objective. Seconds."""
    return find_apart(took, FELT * objective_seconds)


def find_apart(values: Mapping[str, float], floor: float) -> Outlier | None:
    """The one whose value (larger is worse) is farthest above its siblings', None when all are alike.

    `floor`: below this nobody minds, however far apart they are. Each value is compared with the *others'* median.
    """
    if len(values) < FEWEST:
        return None
    name = max(values, key=lambda each: values[each])
    value = values[name]
    others = [other for each, other in values.items() if each != name]
    middle = median(others)
    if value <= max(floor, TIMES * middle):
        return None
    spread = median(abs(other - middle) for other in others)
    # Siblings that are all alike have no spread; a tenth of their value is what a network adds anyway.
    score = CONSISTENCY * (value - middle) / max(spread, 0.1 * middle, 1e-9)
    return Outlier(name, value, middle, score) if score > APART else None
