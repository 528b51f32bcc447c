"""CheckRegion: whether a Region has answered, and what."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, config_sync
from standfast.config_sync import RegionStep
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `ended`, and the Region's answer once it has."""
    step = parse_input(RegionStep, event, "the CheckRegion task")
    outcome = bootstrap.adoptions().progress(step.execution_arn)
    if not outcome.ended:
        return {"ended": False}
    return {"ended": True, "answer": config_sync.answer_of(step.region, outcome).model_dump(mode="json")}
