"""`GET /condemned/{region}`: 200 while this Region holds that one condemned, else 404. It says nothing else to anybody.

Public, because Route 53's health checkers sign nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from standfast import bootstrap_regions
from standfast.bootstrap import clock
from standfast.voice import Voice, asked_for

HEADERS = {"content-type": "text/plain", "cache-control": "no-store"}


def handler(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Answer a request of the function URL."""
    region = asked_for(event)
    if region and _voice().condemns(region):
        return {"statusCode": 200, "headers": HEADERS, "body": "condemned"}
    return {"statusCode": 404, "headers": HEADERS, "body": ""}


@cache
def _voice() -> Voice:
    """One an environment: what it read stays known from one request to the next."""
    return Voice(bootstrap_regions.region_states(), clock())
