"""Golden answers: what a healthy model says first to a question that is always the same.

A broken GPU or the wrong weights give an answer as quickly as the right one. Greedy decoding gives the same first token
each time, with nearly the same logprob: batches of another size are computed by other kernels, which round otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from standfast.errors import NoGoldenAnswerError
from standfast.health import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.health import EndpointProbe

NONCES = ("0f3a", "5c81", "a947", "e26d")
"""What stands before the prompt, one question each: the watch's own nonces are random and ask for no golden answer."""
ASKED_EACH = 2
"""Times that a replica is asked the same: whoever differs from itself proves nothing."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The first token and its logprob (natural) that a verified model answers to `prompt` behind `nonce`."""

    nonce: str
    prompt: str
    first_token: str
    logprob: float

    @property
    def is_sure(self) -> bool:
        """Whether the model gave it more than half of all probability: then no rounding puts another token first."""
        return self.logprob > -math.log(2)


def question(answers: Sequence[Golden], prompt: str, now: float) -> Golden | None:
    """The golden answer to ask for at this moment: each in its turn, the sure ones if there are any.

    None where none was recorded for this prompt.
    """
    usable = [golden for golden in answers if golden.prompt == prompt]
    turns = [golden for golden in usable if golden.is_sure] or usable
    return turns[int(now) % len(turns)] if turns else None


def compared(probe: EndpointProbe, golden: Golden, tolerance: float) -> EndpointProbe:
    """The probe, its outcome *nonsense* where it answered and not as the golden answer, `tolerance` in nats."""
    if not probe.passed:
        return probe
    wrong = _difference(probe, golden, tolerance)
    return replace(probe, outcome=Outcome.NONSENSE, detail=wrong) if wrong else probe


def agreed(
    asked: Mapping[str, Mapping[str, Sequence[EndpointProbe]]], prompt: str, tolerance: float
) -> tuple[Golden, ...]:
    """The golden answers on which all replicas that answered agree: two at the least, or the only one.

    `asked` is replica id -> nonce -> its probes. A replica that failed a probe has not answered. Raises
    NoGoldenAnswerError.
    """
    answered = {
        replica: probes
        for replica, probes in sorted(asked.items())
        if all(probe.passed for each in probes.values() for probe in each)
    }
    if len(answered) < min(2, len(asked)) or not asked:
        failed = next(
            (f"; {replica}: {probe.outcome} {probe.detail}".rstrip() for replica, probe in _failures(asked)), ""
        )
        raise NoGoldenAnswerError(
            f"{len(answered)} of {len(asked)} replicas answered every question, too few to trust each other{failed}"
        )
    return tuple(_agreed_on(nonce, answered, prompt, tolerance) for nonce in next(iter(answered.values())))


def _agreed_on(
    nonce: str, answered: Mapping[str, Mapping[str, Sequence[EndpointProbe]]], prompt: str, tolerance: float
) -> Golden:
    told = [(replica, probe) for replica, probes in answered.items() for probe in probes[nonce]]
    logprobs = [probe.first_logprob for _, probe in told if probe.first_logprob is not None]
    tokens = [probe.first_token for _, probe in told if probe.first_token is not None]
    if len(logprobs) < len(told) or len(tokens) < len(told):
        raise NoGoldenAnswerError("the engine says no logprobs; golden answers need them")
    golden = Golden(nonce, prompt, max(tokens, key=tokens.count), median(logprobs))
    for replica, probe in told:
        other = "" if probe.first_token == golden.first_token else "its first token is another one"
        if wrong := other or _difference(probe, golden, tolerance):
            raise NoGoldenAnswerError(f"the replicas do not agree on the question {nonce}; {replica}: {wrong}")
    return golden


def _difference(probe: EndpointProbe, golden: Golden, tolerance: float) -> str:
    """What is wrong with an answer, empty when nothing is.

    Another token is excused only where the golden one was not sure, and still is about as likely: a near-tie, which
    rounding decides. An engine that does not say what else was likely is believed where its token is as likely.
    """
    if probe.first_logprob is None:
        return "no logprob"
    apart = abs(probe.first_logprob - golden.logprob)
    if probe.first_token != golden.first_token:
        if golden.is_sure or apart > tolerance:
            return "its first token is not the golden one"
        still = dict(probe.first_likely).get(golden.first_token)
        if probe.first_likely and (still is None or abs(still - golden.logprob) > tolerance):
            return "its first token is not the golden one, which it does not find as likely"
    if apart > tolerance:
        return f"the logprob of its first token is {apart:.2f} away from the golden one, more than {tolerance:g}"
    return ""


def _failures(asked: Mapping[str, Mapping[str, Sequence[EndpointProbe]]]) -> list[tuple[str, EndpointProbe]]:
    return [
        (replica, probe)
        for replica, probes in sorted(asked.items())
        for each in probes.values()
        for probe in each
        if not probe.passed
    ]
