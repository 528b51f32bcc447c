"""Every five seconds: actual weights against desired ones, leases whose holder ended, overload, incidents.

Started each minute by a schedule, and by EventBridge when an execution of `cluster_failover` ended badly: a time-out
or a stop of an execution runs no Catch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.bootstrap_rollouts import rolling_updates
from standfast.ended_execution import ended_in
from standfast.fleet import parse_input
from standfast.incident_keeping import IncidentKeeper
from standfast.overload import OverloadGuard
from standfast.reconcile import Reconciler
from standfast.reconciling import look_after

if TYPE_CHECKING:
    from standfast.invocation import Context


class ReconcileInput(BaseModel):
    """How often to look, `EVERY_SECONDS` apart."""

    model_config = ConfigDict(extra="forbid")

    rounds: int = Field(default=1, ge=1, le=12)


def handler(event: dict[str, Any], context: Context) -> dict[str, list[str]]:
    """Answer what was found, a sentence a round."""
    table, messenger, clock = bootstrap.cluster_table(), bootstrap.messenger(), bootstrap.clock()
    scope_id, switches = bootstrap.settings().region, bootstrap.region_table()
    balancer, executions = bootstrap.load_balancer(), bootstrap.executions()
    ports = (scope_id, table, switches, table, table, balancer, executions, messenger)
    reconciler = Reconciler(*ports)
    if ended := ended_in(event):
        return {"found": [reconciler.ended(ended.execution_arn, ended.status, ended.error or "", clock.now())]}
    asked = parse_input(ReconcileInput, event, "the input")
    guard = OverloadGuard(*ports, request_id=context.aws_request_id)
    keeper = IncidentKeeper(scope_id, table, bootstrap.incident_log(), messenger, bootstrap.metrics())
    return {"found": asyncio.run(look_after(reconciler, guard, keeper, rolling_updates(), clock, asked.rounds))}
