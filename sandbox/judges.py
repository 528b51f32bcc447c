"""Four judges of a release, shown the same: ours, and three that are commonly used.

| judge | gives up when | passes a stage when |
|---|---|---|
| Standfast's | judge.py says so | judge.py says so; else a person is asked |
| fixed thresholds | at any look, what is seen is worse by the limit | the bake is over |
| Mann-Whitney, every look | at any look, p < 0.01 in any metric | the bake is over |
| Mann-Whitney, once | at the end of the bake, p < 0.01 in any metric | else |

All have the same limits, minimum samples, bakes and cold-start allowance. The last two test times by the rank test of
Mann and Whitney, which Kayenta uses, and shares by Fisher's exact test, one-sided, by size of request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Final

from scipy import stats

from sandbox.releases import LOOK_SECONDS, Effect, Stage, judged
from standfast.judge import SHARES, Pair, Sample, Verdict
from standfast.rollout_rules import Metric, RolloutRules

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES: Final = 3
BAKE_SECONDS: Final = 120.0
SIGNIFICANT: Final = 0.01


class Fate(StrEnum):
    """How a release ended."""

    ABORTED = "aborted"
    ASKED = "a person asked"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, after how many seconds, in which stage, from 1."""

    fate: Fate
    seconds: float
    stage: int


def run_release(effect: Effect, rules: RolloutRules, number: int, seed: int) -> dict[str, Outcome]:
    """One release before each of the judges."""
    stages = [Stage(effect, rules, f"{seed} {effect.name} {number} {stage}") for stage in range(STAGES)]
    return {name: _through(stages, judged, rules) for name, judged in JUDGES.items()}


def _through(stages: list[Stage], judged: Callable[[Stage, RolloutRules], Outcome], rules: RolloutRules) -> Outcome:
    spent = 0.0
    for number, stage in enumerate(stages, 1):
        found = judged(stage, rules)
        spent += found.seconds
        if found.fate is not Fate.PROMOTED:
            return Outcome(found.fate, spent, number)
    return Outcome(Fate.PROMOTED, spent, len(stages))


def _ours(stage: Stage, rules: RolloutRules) -> Outcome:
    found, seconds = judged(stage, rules, stages=STAGES, bake_seconds=BAKE_SECONDS)
    return Outcome(_FATES[found.verdict], seconds, 0)


_FATES = {Verdict.ABORT: Fate.ABORTED, Verdict.INCONCLUSIVE: Fate.ASKED, Verdict.PROMOTE: Fate.PROMOTED}


@dataclass(slots=True)
class _Seen:
    """All values so far, of canary and stable: shares by metric, times by metric and size."""

    rules: RolloutRules
    shares: dict[Metric, tuple[list[bool], list[bool]]] = field(default_factory=lambda: {m: ([], []) for m in SHARES})
    times: dict[tuple[Metric, str], tuple[list[float], list[float]]] = field(default_factory=dict)

    def add(self, pairs: list[Pair], *, warm: bool) -> None:
        for pair in pairs:
            for side, sample in enumerate((pair.canary, pair.stable)):
                if sample is not None:
                    self._add(pair.bucket, side, sample, warm=warm)

    def _add(self, bucket: str, side: int, sample: Sample, *, warm: bool) -> None:
        told = {Metric.ERRORS: sample.failed, Metric.WRONG: sample.wrong, Metric.LATE: sample.late if warm else None}
        for metric, hit in told.items():
            if hit is not None:
                self.shares[metric][side].append(hit)
        took = {
            Metric.FIRST_TOKEN: sample.first_token_seconds,
            Metric.BETWEEN_TOKENS: sample.between_tokens_seconds,
        }
        for metric, seconds in took.items():
            if warm and seconds is not None:
                self.times.setdefault((metric, bucket), ([], []))[side].append(seconds)

    def is_beyond(self) -> bool:
        least = self.rules.minimum_samples
        for metric, (canary, stable) in self.shares.items():
            if min(len(canary), len(stable)) >= least:
                more = sum(canary) / len(canary) - sum(stable) / len(stable)
                if more >= getattr(self.rules.limits, metric):
                    return True
        return any(
            median(canary) >= getattr(self.rules.limits, metric) * median(stable)
            for (metric, _), (canary, stable) in self.times.items()
            if min(len(canary), len(stable)) >= least
        )

    def is_significant(self) -> bool:
        least = self.rules.minimum_samples
        for canary, stable in self.shares.values():
            hits = sum(canary) + sum(stable)
            if min(len(canary), len(stable)) >= least and sum(canary):
                every = len(canary) + len(stable)
                if stats.hypergeom.sf(sum(canary) - 1, every, hits, len(canary)) < SIGNIFICANT:
                    return True
        return any(
            stats.mannwhitneyu(canary, stable, alternative="greater", method="asymptotic").pvalue < SIGNIFICANT
            for canary, stable in self.times.values()
            if min(len(canary), len(stable)) >= least
        )


def _at_every_look(stage: Stage, rules: RolloutRules, is_bad: Callable[[_Seen], bool]) -> Outcome:
    seen, number = _Seen(rules), 0
    while number * LOOK_SECONDS < BAKE_SECONDS:
        seen.add(stage.look(number), warm=number * LOOK_SECONDS >= rules.cold_start_seconds)
        number += 1
        if is_bad(seen):
            return Outcome(Fate.ABORTED, number * LOOK_SECONDS, 0)
    return Outcome(Fate.PROMOTED, number * LOOK_SECONDS, 0)


def _once(stage: Stage, rules: RolloutRules) -> Outcome:
    seen, number = _Seen(rules), 0
    while number * LOOK_SECONDS < BAKE_SECONDS:
        seen.add(stage.look(number), warm=number * LOOK_SECONDS >= rules.cold_start_seconds)
        number += 1
    fate = Fate.ABORTED if seen.is_significant() else Fate.PROMOTED
    return Outcome(fate, number * LOOK_SECONDS, 0)


OURS: Final = "Standfast"
JUDGES: Final[dict[str, Callable[[Stage, RolloutRules], Outcome]]] = {
    OURS: _ours,
    "fixed thresholds": lambda stage, rules: _at_every_look(stage, rules, _Seen.is_beyond),
    "Mann-Whitney, every look": lambda stage, rules: _at_every_look(stage, rules, _Seen.is_significant),
    "Mann-Whitney, once": _once,
}
