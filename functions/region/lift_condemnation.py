"""LiftCondemnation: the Region may serve again. Its records send it a first stage only, which are out by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions, region_moving, region_record
from standfast.fleet import parse_input
from standfast.region_steps import PeersStep

if TYPE_CHECKING:
    from standfast.region_ports import RegionRecord


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether there was anything to lift. May be repeated."""
    step = parse_input(PeersStep, event, "the LiftCondemnation task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    if not step.may_change or not step.is_condemned:
        return {"lifted": False, "at": now}

    def made(record: RegionRecord) -> RegionRecord:
        if step.region not in record.condemned:
            return record
        return region_record.lift(record, step.region, reason=step.reason, now=now)

    region_moving.change(
        bootstrap_regions.region_states(), step.token, made, now, region_record.LEASE_SECONDS + step.bake_seconds
    )
    bootstrap_regions.region_switch(config).restore(step.region)
    return {"lifted": True, "at": now}
