"""From a canary and what an engine says of itself to the answer that the checks judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.checks import Answer
from standfast.golden import compared

if TYPE_CHECKING:
    from standfast.engine import EngineDescription
    from standfast.fleet import Canary, Model, Objectives
    from standfast.golden import Golden
    from standfast.health import EndpointProbe

TOKENS = 4
"""Tokens that an assessment's canary asks for: a time between tokens needs three."""


def assessment_canary(canary: Canary, objectives: Objectives) -> Canary:
    """The canary of an assessment: some tokens more than the watch's, and the time that they may take."""
    more = max(0, TOKENS - canary.max_tokens)
    longer = canary.deadline_seconds + more * objectives.between_tokens_seconds
    return canary.model_copy(update={"max_tokens": canary.max_tokens + more, "deadline_seconds": longer})


def answer(
    replica_id: str, probe: EndpointProbe, said: EngineDescription, model: Model, golden: Golden | None
) -> Answer:
    """What one replica answered. `golden` is the answer that was asked for, None where none is recorded."""
    if golden is not None:
        probe = compared(probe, golden, model.canary.logprob_tolerance)
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
    )


def other_model(said: EngineDescription, model: Model) -> str:
    """What the engine has loaded when that is not what FleetConfig says; empty when it is, or is not said."""
    if said.models and model.name not in said.models:
        return said.models[0]
    if model.version is not None and said.version is not None and said.version != model.version:
        return f"{model.name} in version {said.version}"
    return ""
