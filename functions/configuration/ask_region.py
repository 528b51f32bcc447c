"""AskRegion: have one Region take the version and adopt it, by an execution of its own."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.config_sync import AdoptInput, RegionStep
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> str:
    """Answer the execution's ARN. May be repeated: the execution has one name."""
    step = parse_input(RegionStep, event, "the AskRegion task")
    plan = step.plan
    asked = AdoptInput(
        version=plan.version,
        sha256=plan.sha256,
        token=plan.token,
        dry_run=plan.dry_run,
        text=plan.text,
        source=bootstrap.settings().region,
        by=plan.by,
        reason=plan.reason,
    )
    return bootstrap.adoptions().ask(step.region, plan.name, asked.model_dump(mode="json"))
