"""ReleaseLease: the failover succeeded, so the count of failed attempts starts anew."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.steps import Plan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the token that was given back. Raises FencedError when somebody else was granted the lease meanwhile."""
    plan = parse_input(Plan, event, "the ReleaseLease task")
    bootstrap.cluster_table().release(plan.scope_id, token=plan.token, attempts=0, not_before=0.0)
    return {"token": plan.token}
