"""The factories of what moves Regions: as `bootstrap`, apart because few functions need them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.aws.region_states import RegionStates
    from standfast.fleet import FleetConfig
    from standfast.region_ports import Controls, RegionMoves, RegionSwitch
    from standfast.stores import RelayStore


@cache
def region_states() -> RegionStates:
    """RegionStore and HeartbeatStore."""
    from standfast.aws.region_states import RegionStates

    return RegionStates(settings().region_table)


@cache
def region_relay() -> RelayStore:
    """Which run of the watch of the Regions has it; the clusters' watch has a relay of its own."""
    from standfast.aws.relays import RegionRelay

    return RegionRelay(settings().table, settings().region)


@cache
def region_moves() -> RegionMoves:
    """`region_failover` of this Region."""
    from standfast.aws.executions import StepFunctions

    here = settings()
    return StepFunctions(here.failover_arn, region_failover_arn=here.machine_arn(here.region, "region-failover"))


def controls() -> Controls:
    """Control probes for one event loop, as `bootstrap.prober`."""
    from standfast.probes.controls import HttpControls

    return HttpControls()


def region_switch(config: FleetConfig) -> RegionSwitch:
    """Route 53. The endpoints are those that the Regions name in their heartbeats."""
    from urllib.parse import urlsplit

    from standfast.aws.route53_switch import Route53Switch
    from standfast.probes import verdicts

    endpoints = {beat.region: beat.verdict_url for beat in region_states().heartbeats()}
    name = urlsplit(config.region_moves.global_url or "").hostname or ""
    return Route53Switch(settings().hosted_zone_id, name, lambda region: verdicts.ask(endpoints, region))
