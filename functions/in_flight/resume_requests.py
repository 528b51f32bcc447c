"""ResumeRequests: have what the failed cluster had begun answered by the chosen one. Started, and not waited for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap_journals
from standfast.fleet import parse_input


class ResumeInput(BaseModel):
    """Why requests are to be resumed. Of a task's whole state only this is looked at."""

    model_config = ConfigDict(extra="ignore")

    reason: str = Field(min_length=1)


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Answer that it was started. May run twice: a request has one owner at a time."""
    asked = parse_input(ResumeInput, event, "the ResumeRequests task")
    bootstrap_journals.resumptions().start(asked.reason)
    return {"started": True}
