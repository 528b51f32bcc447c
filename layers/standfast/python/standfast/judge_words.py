"""What the judge of a release found, in words with the figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from standfast.rollout_rules import Metric

if TYPE_CHECKING:
    from standfast.judge import Share, Time

_NAMES: Final = {
    Metric.ERRORS: "failed requests",
    Metric.WRONG: "wrong golden answers",
    Metric.LATE: "late answers",
    Metric.FIRST_TOKEN: "first token",
    Metric.BETWEEN_TOKENS: "from token to token",
}


def share_in_words(metric: Metric, share: Share, limit: float) -> str:
    """Such as: failed requests 13 of 260 (5.0 %) against 1 of 260 (0.4 %), limit 2 points more."""
    if not share.pairs:
        return f"{_NAMES[metric]}: no sample"
    seen = (share.canary_hits, share.stable_hits)
    canary, stable = (f"{hits} of {share.pairs} ({100 * hits / share.pairs:.1f} %)" for hits in seen)
    return f"{_NAMES[metric]} {canary} against {stable}, limit {100 * limit:g} points more"


def time_in_words(metric: Metric, bucket: str, time: Time, limit: float) -> str:
    """Such as: first token (short) 0.310 s against 0.200 s, 1.55 times in 60 pairs, limit 1.5 times."""
    if not time.pairs:
        return f"{_NAMES[metric]} ({bucket}): no sample"
    canary, stable = math.exp(time.canary_logs / time.pairs), math.exp(time.stable_logs / time.pairs)
    said = f"{_NAMES[metric]} ({bucket}) {canary:.3f} s against {stable:.3f} s"
    return f"{said}, {time.times:.2f} times in {time.pairs} pairs, limit {limit:g} times"


def seldom(chance: float) -> str:
    """A small chance as people say it."""
    return f"once in {1 / chance:,.0f} at most"
