"""Releases that never were: what a judge is shown of a canary and of the stable version beside it, look by look.

The figures are ours, chosen to be unkind: both versions share a load that wanders, each has moods of its own for some
seconds, one request in a hundred stalls, errors come in bursts that hit one version alone, and after each shift the
canary is cold. Seeded: the same number gives the same release.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from standfast.judge import Pair, Sample, StageEvidence, StageVerdict, Verdict, judge, look

if TYPE_CHECKING:
    from standfast.rollout_rules import RolloutRules

LOOK_SECONDS: Final = 6.5
"""The machine waits five seconds between looks; the requests of a look take the rest."""
COLD_SECONDS: Final = 30.0
COLD_TIMES: Final = 3.0
OBJECTIVE_SECONDS: Final = 1.0
FIRST_TOKEN_SECONDS: Final = 0.2
BETWEEN_TOKENS_SECONDS: Final = 0.025
LONG_TIMES: Final = 2.0
SPREAD_FIRST, SPREAD_BETWEEN = 0.4, 0.15
"""Standard deviations of the logarithm of a time, from request to request."""
LOAD_SPREAD, MOOD_SPREAD, KEPT = 0.3, 0.08, 0.9
"""Of the load that both share and of each one's mood; and how much of either is left from round to round."""
STALLS, STALL_TIMES = 0.01, 8.0
ERRORS, WRONG = 0.002, 0.0005
BURSTS_PER_SECOND, BURST_SECONDS, BURST_ERRORS = 1 / 3600, 3.0, 0.5


@dataclass(frozen=True, slots=True)
class Effect:
    """What is worse about a canary. `long_only`: slow with long requests alone."""

    name: str
    errors: float = 0.0
    wrong: float = 0.0
    stalls: float = 0.0
    first_token: float = 1.0
    between_tokens: float = 1.0
    long_only: bool = False

    @property
    def lost(self) -> float:
        """The share of the requests that get no answer, or a wrong one."""
        return 1 - (1 - self.errors) * (1 - self.wrong)


GOOD: Final = Effect("none: a good release")


@dataclass(slots=True)
class _Version:
    effect: Effect
    mood: float = 0.0
    burst_until: float = -1.0


@dataclass(slots=True)
class Stage:
    """One stage of one release. Looks are made once, in order, so that all judges are shown the same."""

    effect: Effect
    rules: RolloutRules
    seed: str
    _looks: list[list[Pair]] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _canary: _Version = field(init=False)
    _stable: _Version = field(init=False)
    _load: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._canary, self._stable = _Version(self.effect), _Version(GOOD)

    def look(self, number: int) -> list[Pair]:
        """What the look of that number, from 0, is shown; it ends `LOOK_SECONDS` later than the one before."""
        while len(self._looks) <= number:
            self._looks.append(self._next(len(self._looks) * LOOK_SECONDS))
        return self._looks[number]

    def _next(self, at: float) -> list[Pair]:
        pairs = []
        for turn in range(self.rules.rounds):
            now = at + LOOK_SECONDS * turn / self.rules.rounds
            self._load = self._wander(self._load, LOAD_SPREAD)
            for version in (self._canary, self._stable):
                version.mood = self._wander(version.mood, MOOD_SPREAD)
                if self._random.random() < BURSTS_PER_SECOND * LOOK_SECONDS / self.rules.rounds:
                    version.burst_until = now + BURST_SECONDS
            for number, bucket in enumerate(self.rules.buckets):
                cold = COLD_TIMES if now < COLD_SECONDS else 1.0
                pairs.append(
                    Pair(
                        bucket.name,
                        self._sample(self._canary, now, cold, long=number > 0),
                        self._sample(self._stable, now, 1.0, long=number > 0),
                    )
                )
        return pairs

    def _sample(self, version: _Version, now: float, cold: float, *, long: bool) -> Sample:
        chance, effect = self._random, version.effect
        errors = max(ERRORS + effect.errors, BURST_ERRORS if now < version.burst_until else 0.0)
        if chance.random() < errors:
            return Sample(failed=True)
        felt = long or not effect.long_only
        first = FIRST_TOKEN_SECONDS * (LONG_TIMES if long else 1.0) * (effect.first_token if felt else 1.0) * cold
        first *= math.exp(self._load + version.mood + chance.gauss(0.0, SPREAD_FIRST))
        if chance.random() < STALLS + effect.stalls:
            first *= STALL_TIMES
        between = BETWEEN_TOKENS_SECONDS * (effect.between_tokens if felt else 1.0)
        between *= math.exp((self._load + version.mood) / 2 + chance.gauss(0.0, SPREAD_BETWEEN))
        wrong = None if long else chance.random() < WRONG + effect.wrong
        return Sample(False, wrong, first > OBJECTIVE_SECONDS, first, between)

    def _wander(self, value: float, spread: float) -> float:
        return KEPT * value + self._random.gauss(0.0, spread * math.sqrt(1 - KEPT**2))


def judged(stage: Stage, rules: RolloutRules, *, stages: int, bake_seconds: float) -> tuple[StageVerdict, float]:
    """What the deployed judge says of a stage of so many, and after how many seconds."""
    evidence, number = StageEvidence(), 0
    while True:
        warm = number * LOOK_SECONDS >= rules.cold_start_seconds
        evidence = look(evidence, stage.look(number), rules, stages=stages, warm=warm)
        number += 1
        baked = number * LOOK_SECONDS
        found = judge(evidence, rules, stages=stages, baked_seconds=baked, bake_seconds=bake_seconds)
        if found.verdict is not Verdict.CONTINUE:
            return found, baked
