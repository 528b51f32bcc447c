"""`overload`: the standby is half the size, and the traffic is more than it can carry.

From a live cluster only what fits moves: a switchover is refused with the figure, and nothing changed by it. From a
dead one everything moves: the failover's page tells the overload as it was measured, and what saturates the standby is
shed. A part of the requests says by a header that it is of low priority: that is shed first, from the moment of the
move, and the rest is served.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox import figures
from sandbox.plan import LOW_PRIORITY_HEADER, LOW_PRIORITY_VALUES
from sandbox.scenario import Moment, Report, Scenario
from standfast.rule_weights import ALL, of_clusters, share
from standfast.traffic import describe, shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.load import Record
    from sandbox.region import RuleChange, SandboxRegion
    from sandbox.scenario import Stage
    from standfast.traffic import Weights

NAME: Final = "overload"
SHARE: Final = 0.03
"""How much of a processor each replica has, so that a few requests a second fill it as they would a real model."""
LOAD: Final = 1.25
"""Requests a second, as a part of what the standby can serve; 0.63 of what the primary can, which then has some four at
work, more at times."""
DECLARED: Final = 1
"""Requests at once that a replica is declared to carry: its other three slots are kept for bursts."""
LOW_SHARE: Final = 0.5
"""How much of the load is of low priority. Without it the standby has to serve 0.63 of what it can."""
SHEDDING: Final = {
    "raise_seconds": 5,
    "calm_seconds": 10,
    "low_priority": {"header": LOW_PRIORITY_HEADER, "values": LOW_PRIORITY_VALUES},
}
MEASURED_SECONDS: Final = 240.0
"""Within this time the assessment, twice a minute, has measured both clusters under the load, on a busy machine too."""
LIMIT_SECONDS: Final = 180.0
SETTLED_SECONDS: Final = 3.0
"""After the entry followed the failover: by then a client's first request to the standby has been answered."""
SURGE_SECONDS: Final = 20.0
SERVED_PERCENT: Final = 50.0
"""Of the rest, after the move. On a busy machine the standby serves less than was measured: then more is shed."""


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.fleet.load import Plan
    from sandbox.fleet.slowness import Slowness
    from sandbox.scenarios.cascade import requests_per_second

    region, say = stage.region, stage.say
    for each in stage.sandbox.regions.values():
        if each.load is not None:
            each.load.close()
    stage.sandbox.apply_config(shedding=SHEDDING, regions=_declared(stage))
    with Slowness([node.replica for node in region.nodes.nodes()], SHARE):
        capacity = requests_per_second([node.replica for node in region.nodes.nodes(region.standby)])
        say(f"{region.standby} serves {capacity:.0f} requests a second; asked for are {LOAD * capacity:.0f}")
        region.wait_until_ready()
        marked = (LOW_PRIORITY_HEADER, LOW_PRIORITY_VALUES[0])
        plan = Plan(20, LOAD * capacity, stage.seed, region.model.version)
        load = region.start_load(replace(plan, low_priority=marked, low_priority_share=LOW_SHARE))
        began = time.time()
        region.wait_for("the load to be measured", lambda: _measured(region, began), MEASURED_SECONDS)
        before, at_home = len(region.rule_changes), region.rule_changes[-1].weights
        refused = _switchover(region)
        # What is shed meanwhile is another matter: on a busy machine the primary may saturate.
        changed = [each.weights for each in region.rule_changes[before:] if not _same_clusters(each.weights, at_home)]
        unchanged = not changed and _same_clusters(region.view().scope.desired.weights, at_home)
        say(f"the switchover is refused: {refused}")
        told, fault_at = len(region.messages()), time.time()
        region.nodes.kill(region.primary)
        say(f"every replica of {region.primary} is killed")
        page = region.wait_for("the page", lambda: _page(region, told), LIMIT_SECONDS)
        region.wait_for("the entry to shed", lambda: _has_shed(region, before), LIMIT_SECONDS)
        time.sleep(SURGE_SECONDS)
        records = load.stop()
    seen = figures.outage(records, fault_at)
    said = next((line for line in page.splitlines() if line.startswith("Mind:")), "")
    after = region.rule_changes[before:]
    moved_at = next(change.at for change in after if change.weights.get(region.standby)) + SETTLED_SECONDS
    found: dict[str, Any] = {
        "switchover_refused": "can carry" in refused,
        "changed_by_the_refusal": not unchanged,
        "traffic_at_the_standby": after[-1].weights.get(region.standby, 0) > 0,
        "overload_said": "can carry" in said,
        "low_priority_said": LOW_PRIORITY_HEADER in said,
        "most_shed_percent": max((share(change.weights) for change in after), default=0),
        "most_low_priority_shed_percent": max((share(change.low_priority) for change in after), default=0),
        "rest_shed_before_low_priority": sum(
            share(each.weights) > 0 and share(each.low_priority) < ALL for each in after
        ),
        "zero_weight_moments": sum(not any(change.weights.values()) for change in after),
        "requests": seen.requests,
        "shed_requests": seen.shed_requests,
        "failed_requests": seen.failed_requests,
        **_served_after(records, moved_at),
    }
    timeline = [
        Moment(round(began - fault_at, 3), "load", f"{LOAD * capacity:.0f} requests a second"),
        Moment(-0.001, "refused", next((line for line in refused.splitlines() if "can carry" in line), refused)),
        Moment(0.0, "fault", f"every replica of {region.primary} is killed"),
        *(Moment(round(each.at - fault_at, 3), "entry follows", _in_words(each)) for each in after),
        Moment(0.001, "page", said),
    ]
    return Report(NAME, region.name, found, sorted(timeline, key=lambda moment: moment.at), _faults(found, region))


def _declared(stage: Stage) -> dict[str, Any]:
    regions: dict[str, Any] = stage.sandbox.fleet_config()["regions"]
    for name, region in regions.items():
        region["entry"]["low_priority_rule_arn"] = stage.sandbox.regions[name].entry["LowPriorityRuleArn"]
        for cluster in region["clusters"].values():
            cluster["capacity"] = {"requests": DECLARED}
    return regions


def _served_after(records: Sequence[Record], moved_at: float) -> dict[str, Any]:
    """Of each kind of request: tries after the move, how many were shed, and how many were served, in per cent."""
    found: dict[str, Any] = {}
    for kind, low_priority in (("rest", False), ("low_priority", True)):
        seen = [each for each in records if each.low_priority is low_priority and each.sent_at > moved_at]
        found[f"{kind}_tries"] = len(seen)
        found[f"{kind}_shed"] = sum(each.shed for each in seen)
        found[f"{kind}_served_percent"] = round(100 * sum(each.ok for each in seen) / max(len(seen), 1), 1)
    return found


def _in_words(change: RuleChange) -> str:
    return f"{describe(change.weights)}; of low priority {describe(change.low_priority)}"


def _same_clusters(weights: Weights, others: Weights) -> bool:
    return shares(of_clusters(weights)) == shares(of_clusters(others))


def _has_shed(region: SandboxRegion, since: int) -> bool:
    return any(share(change.low_priority) > 0 for change in region.rule_changes[since:])


def _measured(region: SandboxRegion, since: float) -> bool:
    """Whether both clusters were measured some seconds into the load, the source with requests."""
    loads = region.view().loads
    fresh = [name for name, load in loads.items() if load.measured_at > since + 5]
    source = loads.get(region.primary)
    return set(fresh) == set(region.replicas) and source is not None and max(source.running, default=0) > 2 * DECLARED


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
        "low_priority_said": True,
        "most_low_priority_shed_percent": ALL,
        "rest_shed_before_low_priority": 0,
        "zero_weight_moments": 0,
    }
    faults = [f"{key}: {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    if not found["low_priority_shed"]:
        faults.append("nothing of low priority was shed")
    if found["rest_served_percent"] < SERVED_PERCENT:
        faults.append(f"of the rest {found['rest_served_percent']} % was served, {SERVED_PERCENT} % is wanted")
    return faults + [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in region.cloud.denials()]


SCENARIO = Scenario(NAME, "the standby is half the size: what does not fit is refused, or said and shed", run)
