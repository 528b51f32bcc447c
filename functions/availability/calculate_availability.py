"""The availability to expect of a fleet, from the rates of what fails. Invoked by a person."""

from __future__ import annotations

from typing import Any

from standfast.availability_input import answer
from standfast.availability_words import in_words


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the report in lines of text and as figures. {} asks for the default fleet. Nothing is read or changed."""
    report = answer(event)
    return {"report": in_words(report), **report.document()}
