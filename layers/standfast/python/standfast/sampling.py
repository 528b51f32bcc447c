"""Synthetic requests to canary and stable, side by side through the entry: what the judge of a release is shown.

An idle canary has no traffic to be judged by, and what users ask two versions never is the same. So both are asked the
same at the same moment, by the entry's probe rules, one request of each size a round; where golden answers are recorded
the canary's own prompt asks for one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import golden
from standfast.health import Outcome
from standfast.judge import Pair, Sample
from standfast.observation import PROBE_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Canary, FleetConfig, Model
    from standfast.golden import Golden
    from standfast.health import EndpointProbe
    from standfast.ports import Clock, Prober
    from standfast.rollout_rules import Bucket

CANARIES = 3
"""Asked through the entry, as users ask, at each look."""
SAMPLING_SECONDS = 6.0
"""After that no further round is begun."""
LONGEST_SECONDS = 4.0
"""A synthetic request is given up after this at the latest: a look must end before its function's time-out."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two: its cluster, the model's name there, and the golden answers of the version that it serves."""

    cluster_id: str
    model: str
    golden: Sequence[Golden]


@dataclass(frozen=True, slots=True)
class SizedCanary:
    """What is asked of a size of request."""

    bucket: str
    canary: Canary


def sized(canary: Canary, buckets: Sequence[Bucket], between_tokens_seconds: float) -> list[SizedCanary]:
    """The canary in each size: its prompt as often as it takes, with the time that the tokens may take."""
    found = []
    for bucket in buckets:
        times = max(1, -(-(bucket.characters + 1) // (len(canary.prompt) + 1)))
        more = max(0, bucket.max_tokens - canary.max_tokens)
        longer = min(LONGEST_SECONDS, canary.deadline_seconds + more * between_tokens_seconds)
        changes = {
            "prompt": " ".join([canary.prompt] * times),
            "max_tokens": bucket.max_tokens,
            "deadline_seconds": longer,
        }
        found.append(SizedCanary(bucket.name, canary.model_copy(update=changes)))
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is asked of whom, in how many rounds."""

    canary: Arm
    stable: Arm
    sizes: Sequence[SizedCanary]
    rounds: int


def of_release(canary: Arm, stable: Arm, config: FleetConfig) -> Comparison:
    """All sizes and rounds."""
    rules = config.rollouts
    sizes = sized(config.model.canary, rules.buckets, config.objectives.between_tokens_seconds)
    return Comparison(canary, stable, sizes, rules.rounds)


def of_planned_move(target: Arm, source: Arm, config: FleetConfig) -> Comparison:
    """One round of the canary as it is: no more than what is asked anyway."""
    return Comparison(target, source, [SizedCanary("canary", config.model.canary)], 1)


async def ask(
    prober: Prober, url: str, model: Model, compared: Comparison | None, clock: Clock
) -> tuple[list[EndpointProbe], list[Pair]]:
    """The canaries as users ask, and beside them the pairs, where there is anything to compare."""
    canaries = asyncio.gather(*(prober.ask(url, model.name, model.canary) for _ in range(CANARIES)))
    pairs = await ask_pairs(prober, url, compared, clock) if compared else []
    return await canaries, pairs


async def ask_pairs(prober: Prober, url: str, compared: Comparison, clock: Clock) -> list[Pair]:
    """The pairs of all rounds, one after the other; none is begun after SAMPLING_SECONDS."""
    began, pairs = clock.now(), list[Pair]()
    for turn in range(compared.rounds):
        if turn and clock.now() - began >= SAMPLING_SECONDS:
            break
        arms = (compared.canary, compared.stable)
        asked = [_ask(prober, url, arm, size.canary, began + turn) for size in compared.sizes for arm in arms]
        samples = await asyncio.gather(*asked)
        pairs += [
            Pair(size.bucket, samples[2 * number], samples[2 * number + 1])
            for number, size in enumerate(compared.sizes)
        ]
    return pairs


async def _ask(prober: Prober, url: str, arm: Arm, canary: Canary, moment: float) -> Sample | None:
    wanted = golden.question(arm.golden, canary.prompt, moment)
    headers = {PROBE_HEADER: arm.cluster_id}
    nonce = wanted.nonce if wanted else None
    probe = await prober.ask(url, arm.model, canary, headers=headers, nonce=nonce)
    return sample(probe, wanted, canary.logprob_tolerance)


def sample(probe: EndpointProbe, wanted: Golden | None, tolerance: float) -> Sample | None:
    """What a probe says of the version that answered it. None when it was shed: no version answered."""
    if probe.outcome is Outcome.SHED:
        return None
    if wanted is not None:
        probe = golden.compared(probe, wanted, tolerance)
    if probe.outcome is Outcome.NONSENSE:
        return Sample(failed=False, wrong=True)
    if not probe.passed:
        return Sample(failed=True)
    return Sample(
        failed=False,
        wrong=None if wanted is None else False,
        late=probe.outcome is Outcome.SLOW,
        first_token_seconds=probe.first_token_seconds,
        between_tokens_seconds=probe.between_tokens_seconds,
    )
