"""ConcludeReplication: what became of each Region, and whom to tell."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.fleet import parse_input
from standfast.replicating import ConcludeStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether every Region has the model, with each Region's result. A failure is told to people."""
    step = parse_input(ConcludeStep, event, "the ConcludeReplication task")
    conclusion = replicating.conclude(step)
    messenger = bootstrap.messenger()
    if conclusion.is_news:
        messenger.notice(conclusion.subject, conclusion.text)
    if not conclusion.succeeded:
        messenger.event("ReplicationFailed", conclusion.detail())
    return conclusion.answer()
