"""StartReplication: have a model that was registered brought to every Region."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.replication_steps import RegisteredStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the execution of `replicate_model`; nobody waits for it. May be repeated."""
    step = parse_input(RegisteredStep, event, "the StartReplication task")
    payload = {
        "model": step.registered.model,
        "version": step.registered.version,
        "trigger": "register_model",
    }
    region = bootstrap.settings().region
    arn = bootstrap.pulls().start_replication(region, step.plan.execution_name, payload)
    return {"execution_arn": arn}
