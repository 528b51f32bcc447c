"""The open incidents and the latest closed ones, for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from standfast.incidents import Incident


class ListInput(BaseModel):
    """How many of the closed ones."""

    model_config = ConfigDict(extra="forbid")

    closed: int = Field(default=10, ge=0, le=100)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer them, each with its times (seconds since the epoch), its durations in seconds and what was done."""
    asked = parse_input(ListInput, event, "the input")
    log = bootstrap.incident_log()
    closed = log.closed_incidents(asked.closed) if asked.closed else ()
    return {"open": [_shown(each) for each in log.open_incidents()], "closed": [_shown(each) for each in closed]}


def _shown(incident: Incident) -> dict[str, Any]:
    return {**asdict(incident), "seconds": incident.durations()}
