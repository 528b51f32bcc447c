"""Quarantine: the failed cluster takes no traffic until it is proven or a person says so."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, traffic
from standfast.fleet import Role, parse_input
from standfast.steps import Plan


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer the roles. Raises FencedError when somebody else holds the lease by now."""
    plan = parse_input(Plan, event, "the Quarantine task")
    roles = traffic.record_roles(
        plan.scope_id,
        lambda desired: {**desired.roles, plan.failed_cluster_id: Role.QUARANTINED},
        bootstrap.cluster_table(),
        token=plan.token,
        reason=plan.reason,
        now=bootstrap.clock().now(),
    )
    return {cluster_id: str(role) for cluster_id, role in sorted(roles.items())}
