"""From evidence to an assessment: is a cluster serving, on two paths, by probes that asked the model a question.

All times are seconds since the epoch, all durations seconds. Rules are those of DESIGN.md, laws 3, 4 and 6: unknown
is not unhealthy, blind is not dead, and a time-out alone never says dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.health_rules import Detection


class Verdict(StrEnum):
    """The judgement of a replica or a cluster."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How one probe ended."""

    ANSWERED = "answered"
    SLOW = "answered late"
    REFUSED = "connection refused"
    TIMED_OUT = "no whole answer in time"
    BAD_STATUS = "an error status"
    BAD_ANSWER = "an answer that is no completion"
    WRONG_MODEL = "another model"
    SHED = "shed, told to come back later"
    NONSENSE = "an answer that no healthy model gives"
    DENIED = "the API key is refused"


PASSED = frozenset({Outcome.ANSWERED, Outcome.SLOW})
EXCUSED = frozenset({Outcome.TIMED_OUT, Outcome.BAD_STATUS})
"""What a saturated engine answers: nothing in time, or 429 or 503. Forward progress says that it is not dead."""
LATE = frozenset({Outcome.SLOW, Outcome.TIMED_OUT})
LATE_TIMES, LATE_PROBES = 3, 4
"""So many of the last probes must be late before a replica is called degraded for it: latency is k of n (DESIGN.md, 6).

A stall of less than two seconds makes two late: the probe that met it, and the one that asked again beside it.
"""


@dataclass(frozen=True, slots=True)
class EndpointProbe:
    """One canary: a streaming completion of a few tokens, asked of a replica or through the entry.

    `progress` is the engine's counter of decoded work, read beside the canary once a replica is suspect; None when it
    was not read or did not answer. `first_token_seconds` is None when no token came. `first_token` is its text,
    `first_logprob` its natural logarithm of probability where it was asked for, `first_likely` the likeliest first
    tokens with theirs where the engine says them, `between_tokens_seconds` the mean time from token to token, None
    below three tokens.
    """

    started_at: float
    ended_at: float
    outcome: Outcome
    detail: str = ""
    first_token_seconds: float | None = None
    progress: float | None = None
    first_token: str | None = None
    first_logprob: float | None = None
    between_tokens_seconds: float | None = None
    first_likely: tuple[tuple[str, float], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the model answered."""
        return self.outcome in PASSED


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason, a sentence for the on-caller. `since` is when the first failed probe of it began.

    `saturated`: it works without a pause and answers too late. `late`: it answered late the last time, or not.
    """

    verdict: Verdict
    reason: str
    since: float | None = None
    saturated: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one vantage point knows of one cluster, each sequence oldest first.

    `replicas` is replica id -> its direct probes. `entry` are probes through the load balancer's probe rule.
    `controls_pass` is False when the vantage point's own control probes failed: it is blind.
    """

    replicas: Mapping[str, Sequence[EndpointProbe]]
    entry: Sequence[EndpointProbe]
    controls_pass: bool = True


@dataclass(frozen=True, slots=True)
class Assessment:
    """The judgement of one cluster.

    `late` is how many of its passing replicas answered late, or not, the last time; `saturated` how many of these are
    so for long and work without a pause.
    """

    cluster_id: str
    verdict: Verdict
    reason: str
    passing: int
    expected: int
    assessed_at: float
    since: float | None = None
    saturated: int = 0
    late: int = 0

    @property
    def is_saturated(self) -> bool:
        """Whether half of its replicas or more work without a pause and answer too late."""
        return self.saturated > 0 and 2 * self.saturated >= self.expected

    @property
    def gist(self) -> tuple[Verdict, int, int]:
        """What is news when it changes: verdict, passing and saturated replicas."""
        return self.verdict, self.passing, self.saturated


def judge_replica(probes: Sequence[EndpointProbe], limits: Detection, now: float) -> Judgement:
    """Judge one replica by its last probes: `limits.failures` failures in a row without progress are unhealthy."""
    fresh = [probe for probe in probes if now - probe.ended_at <= limits.fresh_seconds]
    if not fresh:
        return Judgement(Verdict.UNKNOWN, f"no probe ended in the last {limits.fresh_seconds:g} s")
    last = fresh[-1]
    late = sum(probe.outcome in LATE for probe in fresh[-LATE_PROBES:])
    if last.outcome is Outcome.SLOW:
        took = "" if last.first_token_seconds is None else f" after {last.first_token_seconds:.2f} s"
        if late < LATE_TIMES:
            return Judgement(Verdict.HEALTHY, f"the canary was answered, late this time{took}", late=True)
        return Judgement(Verdict.DEGRADED, f"the first token came late{took}", late=True)
    if last.passed:
        return Judgement(Verdict.HEALTHY, "the canary was answered")
    if last.outcome is Outcome.DENIED:
        return Judgement(Verdict.UNKNOWN, f"{_outcome(last)}: it answers, and what it serves nobody can say")
    failed = _failed_in_a_row(fresh)
    said = f"{min(len(failed), limits.failures)} of {limits.failures} probes failed: {_outcome(last)}"
    if len(failed) < limits.failures:
        once = late < LATE_TIMES and all(probe.outcome in LATE for probe in failed)
        return Judgement(Verdict.HEALTHY if once else Verdict.DEGRADED, said, since=failed[0].started_at, late=True)
    moved = _progress(failed[-limits.failures :])
    if moved is None:
        alike = f"{said}; its counter was read once, so saturated and wedged look alike"
        return Judgement(Verdict.DEGRADED, alike, since=failed[0].started_at, late=True)
    if moved:
        work = f"{moved:g} steps of work were made" if moved >= 1 else "its cache filled further"
        busy = f"saturated, not dead: {said}, but {work} meanwhile"
        return Judgement(Verdict.DEGRADED, busy, saturated=True, late=True)
    return Judgement(Verdict.UNHEALTHY, said, since=failed[0].started_at)


def judge_entry(probes: Sequence[EndpointProbe], limits: Detection, now: float) -> Judgement:
    """Judge the path through the load balancer by its last probes. An entry that sheds overload answers."""
    fresh = [probe for probe in probes if now - probe.ended_at <= limits.fresh_seconds]
    if not fresh:
        return Judgement(Verdict.UNKNOWN, f"no probe through the entry ended in the last {limits.fresh_seconds:g} s")
    if fresh[-1].passed:
        return Judgement(Verdict.HEALTHY, "the entry answers for it")
    shed = [number for number, probe in enumerate(fresh) if probe.outcome is Outcome.SHED]
    failed = _failed_in_a_row(fresh[shed[-1] + 1 :] if shed else fresh)
    if not failed:
        return Judgement(Verdict.DEGRADED, "the entry answers and sheds overload")
    said = f"through the entry {len(failed)} probe{'s' * (len(failed) > 1)} failed: {_outcome(fresh[-1])}"
    if len(failed) < limits.entry_failures:
        return Judgement(Verdict.DEGRADED, said, since=failed[0].started_at)
    return Judgement(Verdict.UNHEALTHY, said, since=failed[0].started_at)


def assess(cluster_id: str, evidence: Evidence, expected: int, limits: Detection, now: float) -> Assessment:
    """Judge a cluster. It is unhealthy (dead) when fewer than half of its replicas pass and the entry path agrees.

    `expected` is the number of replicas that FleetConfig names; replicas that are not registered do not pass.
    """
    judged = {replica: judge_replica(probes, limits, now) for replica, probes in sorted(evidence.replicas.items())}
    entry = judge_entry(evidence.entry, limits, now)
    verdicts = [judgement.verdict for judgement in judged.values()]
    passing = sum(verdict in (Verdict.HEALTHY, Verdict.DEGRADED) for verdict in verdicts)
    expected = max(expected, len(judged))
    verdict, reason = _combine(judged, entry, passing, expected, blind=not evidence.controls_pass)
    since = min((judgement.since for judgement in judged.values() if judgement.since is not None), default=entry.since)
    return Assessment(
        cluster_id=cluster_id,
        verdict=verdict,
        reason=reason,
        passing=passing,
        expected=expected,
        assessed_at=now,
        since=None if verdict is Verdict.HEALTHY else since,
        saturated=sum(judgement.saturated for judgement in judged.values()),
        late=sum(judgement.late for judgement in judged.values()),
    )


def _combine(
    judged: Mapping[str, Judgement], entry: Judgement, passing: int, expected: int, *, blind: bool
) -> tuple[Verdict, str]:
    unhealthy = [judgement for judgement in judged.values() if judgement.verdict is Verdict.UNHEALTHY]
    unknown = sum(judgement.verdict is Verdict.UNKNOWN for judgement in judged.values())
    few = f"{passing} of {expected} replicas pass"
    if blind and (unhealthy or entry.verdict is not Verdict.HEALTHY):
        return Verdict.UNKNOWN, f"this vantage point is blind: its control probes fail too; {few}"
    if unhealthy:
        few += f"; {unhealthy[0].reason}"
    if 2 * (passing + unknown) < expected:
        if entry.verdict is Verdict.UNHEALTHY:
            return Verdict.UNHEALTHY, f"{few}; {entry.reason}"
        return Verdict.DEGRADED, f"{few}, but not dead on both paths: {entry.reason}"
    if 2 * passing < expected:
        return Verdict.UNKNOWN, f"{few} and {unknown} cannot be judged"
    if passing < expected:
        return Verdict.DEGRADED, few
    slow = [judgement for judgement in judged.values() if judgement.verdict is Verdict.DEGRADED]
    if slow:
        return Verdict.DEGRADED, f"{few}, {len(slow)} of them degraded: {slow[0].reason}"
    if entry.verdict is Verdict.UNHEALTHY:
        return Verdict.DEGRADED, f"{few} directly, but {entry.reason}"
    return Verdict.HEALTHY, f"{few}; {entry.reason}"


def _failed_in_a_row(probes: Sequence[EndpointProbe]) -> list[EndpointProbe]:
    failed: list[EndpointProbe] = []
    for probe in reversed(probes):
        if probe.passed:
            break
        failed.insert(0, probe)
    return failed


def _progress(failed: Sequence[EndpointProbe]) -> float | None:
    """How much the engine's counter grew over the failed probes, the last of N: None when it was read only once.

    Only lateness is excused by it: an engine that serves another model is busy too. A saturated engine may be too busy
    to say its counter once more; one that says it never, or not since its only reading, makes no progress.
    """
    last = failed[-1]
    if last.outcome not in EXCUSED:
        return 0.0
    read = [probe.progress for probe in failed if probe.progress is not None]
    if len(read) > 1:
        return max(0.0, read[-1] - read[0])
    return None if last.progress is not None else 0.0


def _outcome(probe: EndpointProbe) -> str:
    return f"{probe.outcome} ({probe.detail})" if probe.detail else str(probe.outcome)
