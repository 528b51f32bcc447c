"""Every five seconds: actual weights against desired ones, leases whose holder ended, overload, incidents.

Started each minute by a schedule, and by EventBridge when an execution of `cluster_failover` ended badly: a time-out
or a stop of an execution runs no Catch.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.incident_keeping import IncidentKeeper
from standfast.overload import OverloadGuard
from standfast.reconcile import Reconciler

EVERY_SECONDS = 5


class ReconcileInput(BaseModel):
    """How often to look, `EVERY_SECONDS` apart."""

    model_config = ConfigDict(extra="forbid")

    rounds: int = Field(default=1, ge=1, le=12)


class EndedExecution(BaseModel):
    """The `detail` of a "Step Functions Execution Status Change" event, as far as it is used."""

    execution_arn: str = Field(alias="executionArn")
    status: str
    error: str | None = None


class Context(Protocol):
    """What is used of Lambda's context."""

    aws_request_id: str


def handler(event: dict[str, Any], context: Context) -> dict[str, list[str]]:
    """Answer what was found, a sentence a round."""
    reconciler = _reconciler()
    if event.get("source") == "aws.states":
        ended = parse_input(EndedExecution, event["detail"], "the event's detail")
        now = bootstrap.clock().now()
        return {"found": [reconciler.ended(ended.execution_arn, ended.status, ended.error or "", now)]}
    asked = parse_input(ReconcileInput, event, "the input")
    return {"found": asyncio.run(_rounds(reconciler, _guard(context.aws_request_id), _keeper(), asked.rounds))}


def _reconciler() -> Reconciler:
    table = bootstrap.cluster_table()
    return Reconciler(
        scope_id=bootstrap.settings().region,
        views=table,
        switches=bootstrap.region_table(),
        scopes=table,
        incidents=table,
        balancer=bootstrap.load_balancer(),
        executions=bootstrap.executions(),
        messenger=bootstrap.messenger(),
    )


def _guard(request_id: str) -> OverloadGuard:
    table = bootstrap.cluster_table()
    return OverloadGuard(
        scope_id=bootstrap.settings().region,
        request_id=request_id,
        views=table,
        switches=bootstrap.region_table(),
        scopes=table,
        incidents=table,
        balancer=bootstrap.load_balancer(),
        executions=bootstrap.executions(),
        messenger=bootstrap.messenger(),
    )


def _keeper() -> IncidentKeeper:
    return IncidentKeeper(
        scope_id=bootstrap.settings().region,
        views=bootstrap.cluster_table(),
        log=bootstrap.incident_log(),
        messenger=bootstrap.messenger(),
        metrics=bootstrap.metrics(),
    )


async def _rounds(reconciler: Reconciler, guard: OverloadGuard, keeper: IncidentKeeper, rounds: int) -> list[str]:
    clock = bootstrap.clock()
    found: list[str] = []
    for done in range(rounds):
        began = clock.now()
        recovered = reconciler.recover(began)
        settled = reconciler.settle(clock.now()) + reconciler.settle_drain(clock.now())
        settled += reconciler.settle_move(clock.now()) + reconciler.fail_back(clock.now())
        drift, overload = reconciler.verify(clock.now()), guard.look(clock.now())
        found.append(f"{recovered}{settled}; {drift}; {overload}{keeper.look(clock.now())}")
        if done + 1 < rounds:
            await clock.sleep(max(0.0, EVERY_SECONDS - (clock.now() - began)))
    return found
