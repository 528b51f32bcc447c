"""From canaries and what an engine says of itself to the answer that the checks judge.

One probe that failed or was late may be a hiccup of the network, of the engine or of ourselves: whoever is doubtful is
asked again at once, and the better of two answers stands. What no hiccup explains stands at once: another model, an
answer that no healthy model gives, a key that is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast.checks import Answer
from standfast.golden import compared
from standfast.health import EXCUSED, Outcome
from standfast.model_versions import says
from standfast.siblings import find_slow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.engine import EngineDescription
    from standfast.fleet import Canary, Model
    from standfast.golden import Golden
    from standfast.health import EndpointProbe
    from standfast.health_rules import Objectives

TOKENS = 4
"""Tokens that an assessment's canary asks for: a time between tokens needs three."""


def assessment_canary(canary: Canary, objectives: Objectives) -> Canary:
    """The canary of an assessment: some tokens more than the watch's, and the time that they may take."""
    more = max(0, TOKENS - canary.max_tokens)
    longer = canary.deadline_seconds + more * objectives.between_tokens_seconds
    return canary.model_copy(update={"max_tokens": canary.max_tokens + more, "deadline_seconds": longer})


_CERTAIN = frozenset({Outcome.WRONG_MODEL, Outcome.NONSENSE, Outcome.DENIED})
"""What is so though it was asked only once."""


def doubtful(probes: Mapping[str, EndpointProbe], canary: Canary, objectives: Objectives) -> set[str]:
    """Which replicas of one cluster are asked again: replica id -> its probe in, replica ids out.

    Those that failed for a reason that may pass, or were late, paused between tokens, or are apart from their siblings.
    """
    took = {name: probe.first_token_seconds for name, probe in probes.items() if probe.first_token_seconds is not None}
    apart = find_slow(took, canary.first_token_seconds)
    return {
        name
        for name, probe in probes.items()
        if (not probe.passed and probe.outcome not in _CERTAIN)
        or probe.outcome is Outcome.SLOW
        or (probe.between_tokens_seconds or 0.0) > objectives.between_tokens_seconds
        or (apart is not None and name == apart.name)
    }


def answer(
    replica_id: str,
    probe: EndpointProbe,
    said: EngineDescription,
    model: Model,
    golden: Golden | None,
    again: EndpointProbe | None = None,
) -> Answer:
    """What one replica answered. `golden` is the answer that was asked for, None where none is recorded.

    `again` is its second probe where it was asked twice, with the engine's counter beside it.
    """
    saturated = again is not None and not probe.passed and _worked(said, again)
    probes = [each for each in (probe, again) if each is not None]
    if golden is not None:
        probes = [compared(each, golden, model.canary.logprob_tolerance) for each in probes]
    probe = _standing(*probes)
    return Answer(
        replica_id=replica_id,
        outcome=probe.outcome,
        detail=probe.detail,
        first_token_seconds=probe.first_token_seconds,
        between_tokens_seconds=probe.between_tokens_seconds,
        golden=golden is not None,
        state=said.state,
        state_detail=said.detail,
        other_model=other_model(said, model),
        saturated=saturated,
    )


def _standing(first: EndpointProbe, again: EndpointProbe | None = None) -> EndpointProbe:
    """Which of two probes stands: one that is certain, else one that passed, of two that passed the quicker."""
    if again is None or first.outcome in _CERTAIN:
        return first
    if again.outcome in _CERTAIN or not first.passed:
        return again
    if not again.passed:
        return first
    quicker, other = sorted((first, again), key=lambda probe: probe.first_token_seconds or 0.0)
    paces = [each.between_tokens_seconds for each in (quicker, other) if each.between_tokens_seconds is not None]
    return replace(quicker, between_tokens_seconds=min(paces, default=None))


def _worked(said: EngineDescription, again: EndpointProbe) -> bool:
    """Whether the engine's counter moved from the first question to the second, which was late too."""
    before, after = said.metrics.progress, again.progress
    return again.outcome in EXCUSED and before is not None and after is not None and after > before


def other_model(said: EngineDescription, model: Model) -> str:
    """What the engine has loaded when that is not what FleetConfig says; empty when it is, or is not said."""
    if said.models and model.name not in said.models:
        return said.models[0]
    if model.version is not None and said.version is not None and not says(said.version, model.version):
        return f"{model.name} in version {said.version}"
    return ""
