"""Tests that may look after every sample: evidence that grows as a bet's winnings would. Pure.

A test that is made for one look says yes too often when it is made again and again: of two versions that are alike it
finds one worse, sooner or later. A bet against "they are alike" cannot be won in the long run where they are alike, at
whatever moment one stops: the chance that the stake ever grows 1/alpha-fold is alpha at the most (Ville's inequality,
1939). So an answer may be taken at any look, and looking costs nothing. See Johari, Koomen, Pekelis and Walsh, Always
Valid Inference (Operations Research 70(3), 2022, arXiv:1512.04922), which tests by a mixture of likelihood ratios as
Robbins did (Annals of Mathematical Statistics 41(5), 1970); Howard, Ramdas, McAuliffe and Sekhon, Time-uniform,
nonparametric, nonasymptotic confidence sequences (Annals of Statistics 49(2), 2021, arXiv:1810.08240); Shekhar and
Ramdas, Nonparametric Two-Sample Testing by Betting (arXiv:2112.09162); Waudby-Smith and Ramdas, Estimating means of
bounded random variables by betting (JRSS B 86(1), 2024, arXiv:2010.09686).

Two bets are made here, both on pairs: two that were asked the same at the same moment, so that it does not matter how
the world changes meanwhile. *Worse*: of the pairs of which one alone comes off badly it is the first half the time at
most, where the first is no worse (the sign test; for yes and no, McNemar's). *Within a margin*: the first comes off
badly more often than the second by the margin at least (the bet of Waudby-Smith and Ramdas on the mean of a bounded
variable).
"""

from __future__ import annotations

import math
from typing import Final

CHANCES: Final = (0.6, 0.7, 0.8, 0.9, 0.99)
"""What is bet on, a part of the stake each: that the first of a pair comes off worse so often."""
_WON: Final = tuple(math.log(2 * chance) for chance in CHANCES)
_LOST: Final = tuple(math.log(2 * (1 - chance)) for chance in CHANCES)
STAKES: Final = (0.1, 0.25, 0.5, 0.75, 0.95)
"""What is staked on each pair by those who bet that the first is within a margin."""

Wealth = tuple[float, ...]
"""Natural logarithm of what became of 1, for each of CHANCES, or of STAKES."""
FRESH: Final[Wealth] = (0.0,) * len(CHANCES)
"""Before the first bet: an equal part for each of CHANCES, or of STAKES, which are as many."""


def needed(alpha: float) -> float:
    """The evidence, a natural logarithm, that a true null hypothesis ever gives with a probability of alpha at most."""
    return -math.log(alpha)


def bet(wealth: Wealth, worse: int, better: int, most: float = math.inf) -> Wealth:
    """The wealth, against: the first of a pair is worse half the time at most. After so many pairs of either kind.

    `most`, a logarithm, is what one look may win: evidence of one moment, whose pairs may share their bad luck, cannot
    be enough then. A bet that is cut short wins less in the mean, so it stays a fair test.
    """
    return tuple(
        before + min(most, worse * won + better * lost) for before, won, lost in zip(wealth, _WON, _LOST, strict=True)
    )


def evidence(wealth: Wealth) -> float:
    """Natural logarithm of the whole wealth (the mean of its parts): the evidence against what was bet against."""
    top = max(wealth)  # taken out, so that nothing leaves the range of floating point
    return top + math.log(math.fsum(math.exp(each - top) for each in wealth) / len(wealth))


def look_may_win(alpha: float, looks: int) -> float:
    """What one look may win so that `needed(alpha)` takes so many looks at the least."""
    return needed(alpha) / looks


def bet_within(wealth: Wealth, worse: int, better: int, even: int, margin: float) -> Wealth:
    """The wealth, against: the first comes off badly more often than the second by `margin` or more (between 0 and 1).

    Of `worse` pairs the first alone did, of `better` the second alone, of `even` both or neither.
    """
    return tuple(
        before
        + worse * math.log1p(stake * (margin - 1))
        + better * math.log1p(stake * (margin + 1))
        + even * math.log1p(stake * margin)
        for before, stake in zip(wealth, STAKES, strict=True)
    )
