"""BeginRelease: take the one place that there is for a release in the fleet, and tell people."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap
from standfast.bootstrap_releases import fleet_rollouts
from standfast.fleet import parse_input
from standfast.lease import HolderState
from standfast.release_record import ReleaseRecord, check_may_begin
from standfast.release_steps import ReleasePlan


def handler(event: dict[str, Any], _context: object) -> int:
    """Answer the token. Raises LeaseHeldError, FencedError. May be repeated."""
    plan = parse_input(ReleasePlan, event, "the BeginRelease task")
    asked, table, now = plan.input, bootstrap.region_table(), bootstrap.clock().now()
    last = table.read_release()
    if last.execution_arn == plan.execution_arn:
        return last.token
    holder = fleet_rollouts().holder_state(last.execution_arn) if last.token else HolderState.ENDED
    check_may_begin(last, plan.execution_arn, asked.version, asked.event_id, holder, now)
    record = ReleaseRecord(last.token + 1, plan.execution_arn, asked.version, asked.event_id, now)
    table.write_release(record, seen=last)
    messenger = bootstrap.messenger()
    messenger.notice(f"{asked.version} is being released", f"Asked by {asked.by}.\n{plan.plans.text}")
    detail = {"execution_arn": plan.execution_arn, "version": asked.version, "text": plan.plans.text}
    messenger.event("ReleaseStarted", detail)
    return record.token
