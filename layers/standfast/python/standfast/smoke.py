"""Green before it has traffic: golden prompts, a load, and latency, asked through the entry's probe rule."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast import golden
from standfast.health import Outcome, Verdict
from standfast.observation import PROBE_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Canary
    from standfast.golden import Golden
    from standfast.health import Assessment, EndpointProbe
    from standfast.ports import Prober

BURSTS = 3
"""One after the other: the last one meets warm caches and a queue that the ones before left."""
LATE_SHARE = 0.05
"""Of the answers of the last burst that may be late: the objective is held against the 95th percentile."""


class SmokeAction(StrEnum):
    """What a smoke test comes to."""

    PASS = "pass"  # noqa: S105 - no password
    WAIT = "wait"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class SmokeDecision:
    """What to do, and why in a sentence."""

    action: SmokeAction
    reason: str


async def ask(
    prober: Prober, url: str, green: str, model: str, canary: Canary, recorded: Sequence[Golden], at_once: int
) -> list[list[EndpointProbe]]:
    """Bursts of so many canaries at once, each with another golden question, where several are recorded."""
    bursts = []
    for burst in range(BURSTS):
        asked = [
            _ask(prober, url, green, model, canary, recorded, float(burst * at_once + number))
            for number in range(at_once)
        ]
        bursts.append(list(await asyncio.gather(*asked)))
    return bursts


async def _ask(
    prober: Prober, url: str, green: str, model: str, canary: Canary, recorded: Sequence[Golden], turn: float
) -> EndpointProbe:
    wanted = golden.question(recorded, canary.prompt, turn)
    headers, nonce = {PROBE_HEADER: green}, wanted.nonce if wanted else None
    probe = await prober.ask(url, model, canary, headers=headers, logprobs=True, nonce=nonce)
    return golden.compared(probe, wanted, canary.logprob_tolerance) if wanted else probe


def judge(
    bursts: Sequence[Sequence[EndpointProbe]],
    found: Assessment | None,
    *,
    is_golden: bool,
    fresh_seconds: float,
    began_at: float,
    patience_seconds: float,
    now: float,
) -> SmokeDecision:
    """A wrong answer is no matter of time. Everything else is, until patience is over: engines start slowly.

    `began_at`: when the first smoke test of this deployment was made.
    """
    probes = [probe for burst in bursts for probe in burst]
    wrong = [each for each in probes if each.outcome in (Outcome.NONSENSE, Outcome.WRONG_MODEL)]
    if wrong:
        said = f"{len(wrong)} of {len(probes)} answers are wrong: {wrong[0].outcome} {wrong[0].detail}".rstrip()
        return SmokeDecision(SmokeAction.FAIL, said)
    not_yet = _not_yet(bursts, found, fresh_seconds, now)
    if not not_yet:
        by = "each as its golden answer" if is_golden else "with finite logprobs (no golden answer is recorded)"
        return SmokeDecision(SmokeAction.PASS, f"{len(probes)} answers in {len(bursts)} bursts, {by}, in time")
    if now - began_at > patience_seconds:
        return SmokeDecision(SmokeAction.FAIL, f"{not_yet}, {now - began_at:.0f} s after it was loaded")
    return SmokeDecision(SmokeAction.WAIT, not_yet)


def _not_yet(
    bursts: Sequence[Sequence[EndpointProbe]], found: Assessment | None, fresh_seconds: float, now: float
) -> str:
    probes = [probe for burst in bursts for probe in burst]
    failed = [each for each in probes if not each.passed]
    if failed:
        return f"{len(failed)} of {len(probes)} canaries failed: {failed[0].outcome} {failed[0].detail}".rstrip()
    last = bursts[-1]
    late = sum(each.outcome is Outcome.SLOW for each in last)
    if late > LATE_SHARE * len(last):
        return f"{late} of {len(last)} canaries at once were late"
    if found is None or now - found.assessed_at > fresh_seconds:
        return "the watch has not judged it of late"
    if found.verdict is not Verdict.HEALTHY:
        return f"the watch finds it {found.verdict}: {found.reason}"
    return ""
