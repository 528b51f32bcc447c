"""Stretches of time: union, intersection and length. Pure. Times are seconds since the epoch.

A union is disjoint, in order, and has no empty stretch: what two incidents share is counted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """From `begin` up to `end`. One that ends where it begins, or before, is empty."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length, never below zero."""
        return max(0.0, self.end - self.begin)


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """What lies in at least one of them; those that touch become one."""
    found: list[Interval] = []
    for each in sorted(each for each in intervals if each.seconds):
        if found and each.begin <= found[-1].end:
            found[-1] = Interval(found[-1].begin, max(found[-1].end, each.end))
        else:
            found.append(each)
    return tuple(found)


def clipped(intervals: Iterable[Interval], within: Interval) -> tuple[Interval, ...]:
    """The union of what of them lies within one."""
    return union(Interval(max(each.begin, within.begin), min(each.end, within.end)) for each in intervals)


def in_all(several: Sequence[Sequence[Interval]]) -> tuple[Interval, ...]:
    """What lies in each of several unions; nothing where there are none."""
    if not several:
        return ()
    common = union(several[0])
    for other in several[1:]:
        common = union(
            Interval(max(one.begin, two.begin), min(one.end, two.end)) for one in common for two in union(other)
        )
    return common


def seconds(intervals: Iterable[Interval]) -> float:
    """How long their union is."""
    return sum(each.seconds for each in union(intervals))
