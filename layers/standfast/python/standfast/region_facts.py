"""What a Region says of itself in its heartbeat, from what its own watch and assessments know. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.capacity import FRESH_SECONDS
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.move_rules import Capacity
from standfast.region_ports import Heartbeat

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.stores import View

_SERVES = (Verdict.HEALTHY, Verdict.DEGRADED)


def heartbeat(region: str, view: View | None, config: FleetConfig, verdict_url: str, now: float) -> Heartbeat:
    """The heartbeat of this moment. `view` is None in a Region without clusters."""
    if view is None or region not in config.regions:
        return Heartbeat(region, now, says=f"{region} has no clusters and only watches", verdict_url=verdict_url)
    serving, says = _serving(view, config, now)
    requests, room = _room(view, config, region, now)
    mending, saturated = _mending(view, config, now), _saturated(view, config, now)
    return Heartbeat(region, now, serving, says, mending, requests, room, verdict_url, saturated)


def _serving(view: View, config: FleetConfig, now: float) -> tuple[bool, str]:
    """Whether any cluster that has traffic serves, by the watch's own word."""
    said, serves = [], False
    for name, weight in sorted(view.scope.desired.weights.items()):
        found = view.assessments.get(name)
        if not weight or name not in view.scope.desired.roles:
            continue
        if found is None or now - found.assessed_at > config.detection.fresh_seconds:
            said.append(f"nobody has judged {name} of late")
            continue
        serves = serves or found.verdict in _SERVES
        said.append(f"{name} is {found.verdict}: {found.reason}")
    return serves, "; ".join(said) or "no cluster has traffic"


def _saturated(view: View, config: FleetConfig, now: float) -> str:
    """What has traffic and is saturated in half of its replicas or more, in words; empty where nothing is."""
    said = [
        f"{found.saturated} of {found.expected} replicas of {name} work without a pause and answer too late"
        for name, found in sorted(view.assessments.items())
        if view.scope.desired.weights.get(name)
        and now - found.assessed_at <= config.detection.fresh_seconds
        and found.is_saturated
    ]
    return "; ".join(said)


def _mending(view: View, config: FleetConfig, now: float) -> str:
    """What is under way that may end an outage without leaving the Region; empty where nothing is."""
    lease, desired = view.scope.lease, view.scope.desired
    if lease.holder is not None and lease.purpose is Purpose.FAILOVER:
        return f"a cluster failover is at work ({lease.holder})"
    active = desired.cluster_with(Role.ACTIVE)
    dead = [
        name
        for name, found in view.assessments.items()
        if found.verdict is Verdict.UNHEALTHY and now - found.assessed_at <= config.detection.fresh_seconds
    ]
    if active not in dead or now < view.scope.not_before:
        return ""
    standbys = [name for name, role in sorted(desired.roles.items()) if role is Role.STANDBY and name not in dead]
    return f"a cluster failover to {' or '.join(standbys)} is due" if standbys else ""


def _room(view: View, config: FleetConfig, region: str, now: float) -> tuple[int | None, int | None]:
    """Requests at work in the clusters that have traffic, and how many more they could carry; None where unknown."""
    requests, room, known = 0, 0.0, True
    measured = False
    for name, cluster in sorted(config.region(region).clusters.items()):
        load = view.loads.get(name)
        if not view.scope.desired.weights.get(name):
            continue
        if load is None or not load.running or now - load.measured_at > FRESH_SECONDS:
            return None, None
        measured = True
        busiest = max(load.running)
        requests += busiest
        each = (cluster.capacity or Capacity()).requests or load.most_requests
        if each is None:
            known = False
        else:
            room += max(0.0, each * min(load.reading.replicas, cluster.replicas) - busiest)
    return (requests if measured else None), (int(room) if measured and known else None)
