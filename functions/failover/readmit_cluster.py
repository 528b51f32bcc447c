"""A person says that a quarantined cluster is mended: it becomes standby. Nothing is routed to it by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap, failover, lease, traffic
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from standfast.invocation import Context


class ReadmitInput(BaseModel):
    """Which cluster, why, and who says so."""

    model_config = ConfigDict(extra="forbid")

    cluster_id: str
    reason: str = Field(min_length=1, max_length=500)
    set_by: str = Field(min_length=1, max_length=100)


def handler(event: dict[str, Any], context: Context) -> dict[str, str]:
    """Answer the roles. Raises LeaseHeldError while a failover runs, InvalidInputError when it is not quarantined."""
    asked = parse_input(ReadmitInput, event, "the input")
    table, now, scope_id = bootstrap.cluster_table(), bootstrap.clock().now(), bootstrap.settings().region
    table.read_config().config.region(scope_id).cluster(asked.cluster_id)
    failover.roles_with_readmitted(asked.cluster_id, table.read(scope_id).desired)
    until = now + context.get_remaining_time_in_millis() / 1000
    holder = lease.step_holder("readmit-cluster", context.aws_request_id, until)
    claim = lease.Claim(holder, lease.Purpose.FAILOVER)
    with lease.for_step(scope_id, claim, table, bootstrap.executions(), now) as token:
        roles = traffic.record_roles(
            scope_id,
            lambda desired: failover.roles_with_readmitted(asked.cluster_id, desired),
            table,
            token=token,
            reason=f"{asked.set_by} readmitted {asked.cluster_id}: {asked.reason}",
            now=now,
        )
    return {cluster_id: str(role) for cluster_id, role in sorted(roles.items())}
