"""TakeRegionLease: check the execution's input against what is, and take the right to move Regions."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_regions, region_admission, region_moving
from standfast.fleet import parse_input
from standfast.region_ports import RegionPurpose
from standfast.region_steps import PLANNED, RegionMoveInput, RegionPlan, TakeRegionLeaseInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the RegionPlan of this execution. Nothing is changed when anything in the input is wrong."""
    request = parse_input(TakeRegionLeaseInput, event, "the TakeRegionLease task")
    asked = parse_input(RegionMoveInput, request.input, "the execution's input")
    here, now = bootstrap.settings().region, bootstrap.clock().now()
    config = bootstrap.cluster_table().read_config().config
    states, brake = bootstrap_regions.region_states(), bootstrap.region_table().read_brake()
    record = states.read_regions()
    token = record.lease.token
    if record.lease.holder == request.execution_arn:  # this very step, once more: its lease is not in its own way
        admission = region_admission.RegionAdmission(asked.region in record.condemned_now(now), True, "")
    else:
        admission = region_admission.admit(asked, here, record, brake, config, now)
    if admission.may_change:
        token = region_moving.take(states, request.execution_arn, RegionPurpose(asked.mode), now).token
    rules, glass = config.region_moves, asked.break_glass
    plan = RegionPlan(
        mode=asked.mode,
        region=asked.region,
        here=here,
        execution_arn=request.execution_arn,
        incident_id=asked.incident_id or f"{asked.region}-{asked.mode}-{request.execution_name}",
        reason=asked.reason,
        condemned_by=asked.condemned_by,
        automatic=asked.by is None,
        failed_since=asked.failed_since or now,
        detected_at=asked.detected_at or now,
        decided_at=now,
        trigger=asked.trigger,
        token=token,
        may_change=admission.may_change,
        held_back=admission.held_back,
        break_glass=str(glass.override()) if glass else "",
        planned=asked.mode in PLANNED,
        is_condemned=admission.is_condemned,
        stages=list(asked.stages or rules.stages),
        bake_seconds=rules.bake_seconds if asked.bake_seconds is None else asked.bake_seconds,
        accept_overload=asked.accept_overload,
    )
    return plan.model_dump(mode="json")
