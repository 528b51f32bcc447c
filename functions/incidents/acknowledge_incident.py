"""A person has an incident in hand: it is not told again until there is something new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.errors import InvalidInputError
from standfast.fleet import parse_input


class AcknowledgeInput(BaseModel):
    """The incident as the page names it, and who has it."""

    model_config = ConfigDict(extra="forbid")

    incident_id: str = Field(min_length=1, max_length=200)
    by: str = Field(min_length=1, max_length=100)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was acknowledged. Raises InvalidInputError with the open incidents when nobody was told of it."""
    asked = parse_input(AcknowledgeInput, event, "the input")
    log, now = bootstrap.incident_log(), bootstrap.clock().now()
    known = {incident.incident_id: incident for incident in log.open_incidents()}
    told = bootstrap.cluster_table().acknowledge(asked.incident_id, by=asked.by, now=now)
    if asked.incident_id in known:
        log.write_incident(replace(known[asked.incident_id], acknowledged_by=asked.by, acknowledged_at=now))
    elif not told:
        there = ", ".join(sorted(known)) or "none"
        raise InvalidInputError(f"incident_id: nobody was told of {asked.incident_id!r}; open are: {there}")
    return {"incident_id": asked.incident_id, "acknowledged_by": asked.by, "open": asked.incident_id in known}
