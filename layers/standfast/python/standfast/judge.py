"""The judge of a release: the canary, which is new, against the stable, which serves. Pure.

Both are asked the same at the same moment, so that what changes meanwhile (load, the hour) hits both. An answer to one
is compared with the answer to the other, by size of request; the judge may look after each of them (sequential.py).

- *Abort*: the canary is proven to be worse in a critical metric, and by at least its limit: what is proven and small is
  no reason. A good release is aborted with a chance of `false_aborts` at most, over all metrics, stages and looks.
- *Promote*: of every metric it is proven, on enough samples, that the canary is not worse by its limit. A release that
  is as bad as a limit passes a stage with a chance of `missed` at most. No samples prove nothing.
- *Inconclusive*: neither, for longer than the patience lasts; or a metric that cannot be judged; or one that is worse
  and not critical. A person decides.
- *Continue*: neither yet.

Each stage starts anew: under more traffic what was proven under less may not hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast import sequential
from standfast.judge_words import seldom, share_in_words, time_in_words
from standfast.rollout_rules import Metric
from standfast.sequential import FRESH, Wealth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from standfast.rollout_rules import RolloutRules

LOOKS = 3
"""Looks that an abort takes at the least: what hits one moment hits all samples of that moment."""
LEAST_SECONDS = 1e-6
"""What takes less was measured by a clock that does not tell such times apart."""
SHARES = (Metric.ERRORS, Metric.WRONG, Metric.LATE)
TIMES = (Metric.FIRST_TOKEN, Metric.BETWEEN_TOKENS)


@dataclass(frozen=True, slots=True)
class Sample:
    """One synthetic request. What is None was not found out: `wrong` where no golden answer was asked for."""

    failed: bool
    wrong: bool | None = None
    late: bool | None = None
    first_token_seconds: float | None = None
    between_tokens_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The same request to both at the same moment. None: it was shed, which says nothing of a version."""

    bucket: str
    canary: Sample | None
    stable: Sample | None


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, of each, in `pairs`; and two bets.

    `worse` against: the canary's share is no larger; `good` against: it is larger by its limit.
    """

    pairs: int = 0
    canary_hits: int = 0
    stable_hits: int = 0
    worse: Wealth = FRESH
    good: Wealth = FRESH

    @property
    def more(self) -> float:
        """How much larger the canary's share is, as seen."""
        return (self.canary_hits - self.stable_hits) / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Time:
    """Pairs of times: sums of their natural logarithms (of seconds), and two bets.

    `worse` against: the canary is no slower; `good` against: it is as slow as its limit.
    """

    pairs: int = 0
    canary_logs: float = 0.0
    stable_logs: float = 0.0
    worse: Wealth = FRESH
    good: Wealth = FRESH

    @property
    def times(self) -> float:
        """How many times the stable's typical time the canary's is, as seen (the ratio of geometric means)."""
        return math.exp((self.canary_logs - self.stable_logs) / self.pairs) if self.pairs else 1.0


@dataclass(frozen=True, slots=True)
class StageEvidence:
    """All that was found in a stage. `times` is `<metric> <bucket>` -> Time."""

    looks: int = 0
    shares: Mapping[str, Share] = field(default_factory=dict)
    times: Mapping[str, Time] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """Requests that both were asked, and neither shed."""
        return self.shares.get(Metric.ERRORS, Share()).pairs


class Verdict(StrEnum):
    """What is to be done with a release."""

    CONTINUE = "continue"
    PROMOTE = "promote"
    ABORT = "abort"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric: worse, good, or neither yet. `known` is False when it has no sample at all."""

    name: str
    metric: Metric
    worse: bool
    good: bool
    known: bool
    words: str


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """The verdict with the reason in a sentence, and each metric's finding."""

    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]


def look(
    before: StageEvidence, pairs: Sequence[Pair], rules: RolloutRules, *, stages: int, warm: bool
) -> StageEvidence:
    """The evidence with one look more. While the canary is not `warm` its times say nothing of it."""
    most = sequential.look_may_win(rules.alpha(stages), LOOKS)
    shares, times = dict(before.shares), dict(before.times)
    for metric in SHARES if warm else (Metric.ERRORS, Metric.WRONG):
        told = [
            (canary, stable)
            for pair in pairs
            if (canary := _hit(metric, pair.canary)) is not None and (stable := _hit(metric, pair.stable)) is not None
        ]
        shares[metric] = _with_hits(shares.get(metric, Share()), told, getattr(rules.limits, metric), most)
    for metric in TIMES if warm else ():
        for bucket in rules.buckets:
            name = f"{metric} {bucket.name}"
            took = [
                (mine, other)
                for pair in pairs
                if pair.bucket == bucket.name
                and (mine := _seconds(metric, pair.canary)) is not None
                and (other := _seconds(metric, pair.stable)) is not None
            ]
            times[name] = _with_times(times.get(name, Time()), took, getattr(rules.limits, metric), most)
    return StageEvidence(before.looks + 1, shares, times)


def judge(
    found: StageEvidence,
    rules: RolloutRules,
    *,
    stages: int,
    baked_seconds: float,
    bake_seconds: float,
    times: bool = True,
) -> StageVerdict:
    """The verdict on a stage of so many that has baked for `baked_seconds`. `times`: whether they can be compared."""
    findings = tuple(each for each in _findings(found, rules, stages) if times or each.metric not in TIMES)
    worse = [each for each in findings if each.worse]
    critical = [each for each in worse if each.metric in rules.critical]
    if critical:
        said = _said(critical)
        odds = seldom(rules.alpha(stages))
        return StageVerdict(Verdict.ABORT, f"the canary is worse: {said}; a good one looks so {odds}", findings)
    if worse:
        said = f"the canary is worse in what is not critical: {_said(worse)}"
        return StageVerdict(Verdict.INCONCLUSIVE, said, findings)
    open_ = [each for each in findings if not each.good]
    if baked_seconds < bake_seconds:
        so_far = _said(open_ or findings)
        reason = f"nothing is proven against the canary after {found.samples} samples: {so_far}"
        return StageVerdict(Verdict.CONTINUE, reason, findings)
    if not open_:
        return StageVerdict(Verdict.PROMOTE, f"the canary is no worse: {_said(findings)}", findings)
    reason = f"after {found.samples} samples in {baked_seconds:.0f} s not proven either way: {_said(open_)}"
    unknown = all(not each.known for each in open_)
    if baked_seconds >= bake_seconds + rules.patience_seconds or (unknown and found.samples >= rules.minimum_samples):
        return StageVerdict(Verdict.INCONCLUSIVE, reason, findings)
    return StageVerdict(Verdict.CONTINUE, reason, findings)


def _findings(found: StageEvidence, rules: RolloutRules, stages: int) -> Iterable[Finding]:
    against, favour = sequential.needed(rules.alpha(stages)), sequential.needed(rules.missed)
    for metric in SHARES:
        share, limit = found.shares.get(metric, Share()), float(getattr(rules.limits, metric))
        yield Finding(
            name=metric,
            metric=metric,
            worse=sequential.evidence(share.worse) >= against and share.more >= limit,
            good=share.pairs >= rules.minimum_samples and sequential.evidence(share.good) >= favour,
            known=share.pairs > 0,
            words=share_in_words(metric, share, limit),
        )
    for metric in TIMES:
        limit = float(getattr(rules.limits, metric))
        for bucket in rules.buckets:
            time = found.times.get(f"{metric} {bucket.name}", Time())
            yield Finding(
                name=f"{metric} {bucket.name}",
                metric=metric,
                worse=sequential.evidence(time.worse) >= against and time.times >= limit,
                good=time.pairs >= rules.minimum_samples and sequential.evidence(time.good) >= favour,
                known=time.pairs > 0,
                words=time_in_words(metric, bucket.name, time, limit),
            )


def _with_hits(share: Share, told: Sequence[tuple[bool, bool]], limit: float, most: float) -> Share:
    worse = sum(canary and not stable for canary, stable in told)
    better = sum(stable and not canary for canary, stable in told)
    return Share(
        share.pairs + len(told),
        share.canary_hits + sum(canary for canary, _ in told),
        share.stable_hits + sum(stable for _, stable in told),
        sequential.bet(share.worse, worse, better, most),
        sequential.bet_within(share.good, worse, better, len(told) - worse - better, limit),
    )


def _with_times(time: Time, took: Sequence[tuple[float, float]], limit: float, most: float) -> Time:
    slower = sum(canary > stable for canary, stable in took)
    quicker = sum(canary < stable for canary, stable in took)
    within = sum(canary < limit * stable for canary, stable in took)
    beyond = sum(canary > limit * stable for canary, stable in took)
    return Time(
        time.pairs + len(took),
        time.canary_logs + math.fsum(math.log(canary) for canary, _ in took),
        time.stable_logs + math.fsum(math.log(stable) for _, stable in took),
        sequential.bet(time.worse, slower, quicker, most),
        sequential.bet(time.good, within, beyond),
    )


def _hit(metric: Metric, sample: Sample | None) -> bool | None:
    if sample is None:
        return None
    return {Metric.ERRORS: sample.failed, Metric.WRONG: sample.wrong, Metric.LATE: sample.late}[metric]


def _seconds(metric: Metric, sample: Sample | None) -> float | None:
    """A time that can be compared."""
    if sample is None:
        return None
    found = sample.first_token_seconds if metric is Metric.FIRST_TOKEN else sample.between_tokens_seconds
    return found if found is not None and found >= LEAST_SECONDS else None


def _said(findings: Sequence[Finding]) -> str:
    return "; ".join(each.words for each in findings)
