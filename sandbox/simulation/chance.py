"""Chance that is the same for every policy: each number is drawn by what it is for, not by when it is asked for.

A fault's repair takes as long under one policy as under another, whatever happened in between (common random numbers).
"""

from __future__ import annotations

import math
from typing import Final

_MASK: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15


def lot(*key: int) -> float:
    """A number from 0 to below 1 that looks random and belongs to its key (SplitMix64 over it: Steele et al., 2014)."""
    state = 0
    for part in key:
        state = (state + part * 0xD1342543DE82EF95 + _STEP) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return (state >> 11) * 2.0**-53


def exponential(mean: float, drawn: float) -> float:
    """The exponential duration of that mean that belongs to a lot."""
    return -mean * math.log1p(-drawn)


def spread(mean: float, drawn: float) -> float:
    """The duration of a machine's work that belongs to a lot: half to one and a half times the mean, all as likely."""
    return mean * (0.5 + drawn)


def around(median: float, spread: float, drawn: float, other: float) -> float:
    """The log-normal duration that belongs to two lots: `spread` is the standard deviation of its logarithm."""
    normal = math.sqrt(-2.0 * math.log1p(-drawn)) * math.cos(2.0 * math.pi * other)
    return median * math.exp(spread * normal)
