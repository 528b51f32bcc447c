"""RecordRoles: the chosen cluster is active, now that it is proven to serve; the failed one drains.

After a planned move the other one is well, and stands by.
"""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, failover, planned_move, traffic
from standfast.fleet import parse_input
from standfast.steps import ChosenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer the roles. Raises FencedError when somebody else holds the lease by now."""
    step = parse_input(ChosenStep, event, "the RecordRoles task")
    after = planned_move.roles_after if step.planned else failover.roles_after
    roles = traffic.record_roles(
        step.scope_id,
        lambda desired: after(desired, step.failed_cluster_id, step.selection.cluster_id),
        bootstrap.cluster_table(),
        token=step.token,
        reason=step.reason,
        now=bootstrap.clock().now(),
        ends_move=step.planned,
    )
    return {cluster_id: str(role) for cluster_id, role in sorted(roles.items())}
