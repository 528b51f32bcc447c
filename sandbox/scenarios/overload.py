"""`overload`: the standby is half the size, and the traffic is more than it can carry.

From a live cluster only what fits moves: a switchover is refused with the figure, and nothing changed by it. From a
dead one everything moves: the failover's page tells the overload as it was measured, and what saturates the standby is
shed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox import figures
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "overload"
SHARE: Final = 0.03
"""How much of a processor each replica has, so that a few requests a second fill it as they would a real model."""
LOAD: Final = 1.15
"""Requests a second, as a part of what the standby can serve; 0.58 of what the primary can."""
SLOTS: Final = 4
"""Requests that a sandbox replica serves at once."""
SHEDDING: Final = {"raise_seconds": 5, "calm_seconds": 10}
MEASURED_SECONDS: Final = 100.0
"""Within this time the assessment, twice a minute, has measured both clusters under the load."""
LIMIT_SECONDS: Final = 90.0
SURGE_SECONDS: Final = 20.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.fleet.load import Plan
    from sandbox.fleet.slowness import Slowness
    from sandbox.scenarios.cascade import requests_per_second
    from standfast.shedding import share

    region, say = stage.region, stage.say
    for each in stage.sandbox.regions.values():
        if each.load is not None:
            each.load.close()
    stage.sandbox.apply_config(shedding=SHEDDING, regions=_declared(stage))
    with Slowness([node.replica for node in region.nodes.nodes()], SHARE):
        capacity = requests_per_second([node.replica for node in region.nodes.nodes(region.standby)])
        say(f"{region.standby} serves {capacity:.0f} requests a second; asked for are {LOAD * capacity:.0f}")
        region.wait_until_ready()
        load = region.start_load(Plan(20, LOAD * capacity, stage.seed, region.model.version))
        began = time.time()
        region.wait_for("the load to be measured", lambda: _measured(region, began), MEASURED_SECONDS)
        before, version = len(region.rule_changes), region.view().scope.desired.version
        refused = _switchover(region)
        unchanged = region.view().scope.desired.version == version and len(region.rule_changes) == before
        say(f"the switchover is refused: {refused}")
        told, fault_at = len(region.messages()), time.time()
        region.nodes.kill(region.primary)
        say(f"every replica of {region.primary} is killed")
        page = region.wait_for("the page", lambda: _page(region, told), LIMIT_SECONDS)
        region.wait_for("shedding", lambda: share(region.rule_changes[-1].weights) > 0, LIMIT_SECONDS)
        time.sleep(SURGE_SECONDS)
        records = load.stop()
    seen = figures.outage(records, fault_at)
    said = next((line for line in page.splitlines() if line.startswith("Mind:")), "")
    after = region.rule_changes[before:]
    found: dict[str, Any] = {
        "switchover_refused": "can carry" in refused,
        "changed_by_the_refusal": not unchanged,
        "traffic_at_the_standby": after[-1].weights.get(region.standby, 0) > 0,
        "overload_said": "can carry" in said,
        "most_shed_percent": max((share(change.weights) for change in after), default=0),
        "zero_weight_moments": sum(not any(change.weights.values()) for change in after),
        "requests": seen.requests,
        "shed_requests": seen.shed_requests,
        "failed_requests": seen.failed_requests,
    }
    timeline = [
        Moment(round(began - fault_at, 3), "load", f"{LOAD * capacity:.0f} requests a second"),
        Moment(-0.001, "refused", next((line for line in refused.splitlines() if "can carry" in line), refused)),
        Moment(0.0, "fault", f"every replica of {region.primary} is killed"),
        *(Moment(round(each.at - fault_at, 3), "entry follows", str(dict(each.weights))) for each in after),
        Moment(0.001, "page", said),
    ]
    return Report(NAME, region.name, found, sorted(timeline, key=lambda moment: moment.at), _faults(found, region))


def _declared(stage: Stage) -> dict[str, Any]:
    regions: dict[str, Any] = stage.sandbox.fleet_config()["regions"]
    for region in regions.values():
        for cluster in region["clusters"].values():
            cluster["capacity"] = {"requests": SLOTS}
    return regions


def _measured(region: SandboxRegion, since: float) -> bool:
    """Whether both clusters were measured some seconds into the load, the source with requests."""
    loads = region.view().loads
    fresh = [name for name, load in loads.items() if load.measured_at > since + 5]
    source = loads.get(region.primary)
    return set(fresh) == set(region.replicas) and source is not None and max(source.running, default=0) > 2 * SLOTS


def _switchover(region: SandboxRegion) -> str:
    payload = {"mode": "switchover", "scope_id": region.name, "reason": "the scenario asks for what does not fit"}
    return str(region.wait_for_end(region.start_execution(payload)).get("cause", ""))


def _page(region: SandboxRegion, told: int) -> str:
    pages = [message.text for message in region.messages()[told:] if message.topic == "page"]
    return next((text for text in pages if "What was done: all traffic" in text), "")


def _faults(found: dict[str, Any], region: SandboxRegion) -> list[str]:
    wanted = {
        "switchover_refused": True,
        "changed_by_the_refusal": False,
        "traffic_at_the_standby": True,
        "overload_said": True,
        "zero_weight_moments": 0,
    }
    faults = [f"{key}: {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    if not found["most_shed_percent"]:
        faults.append("nothing was shed")
    return faults + [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]


SCENARIO = Scenario(NAME, "the standby is half the size: what does not fit is refused, or said and shed", run)
