"""`one-bad-replica`: one of four dies, hangs, or has a sick GPU and serves. It is taken out, mended, and brought back.

The cluster keeps three quarters of its replicas and its objectives: no traffic moves and nobody is woken. What clients
lose is what the dead replica held, and what the load balancer sent there before its own checks failed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.fleet.nodes import Node
    from sandbox.scenario import Stage

NAME: Final = "one-bad-replica"
SUSPECT_SECONDS: Final = 10
"""Shorter than by default (180 s): no engine restarts by itself here."""
LIMIT_SECONDS: Final = 240.0
AFTER_SECONDS: Final = 10.0
STILL: Final = ("weight_changes", "failovers_started", "pages")
CASES: Final[tuple[tuple[str, Callable[[Node], object], str], ...]] = (
    ("dead", lambda node: node.replica.kill(), "restart engine"),
    ("wedged", lambda node: node.replica.pause(), "restart engine"),
    ("sick GPU", lambda node: node.shell.add_xid(95, "pid={pid}, name=VLLM, Uncontained ECC error"), "reset GPU"),
)


@dataclass(slots=True)
class _Told:
    """What came of one replica."""

    seconds: float | None
    figures: dict[str, Any]
    timeline: list[Moment]
    faults: list[str] = field(default_factory=list)


def run(stage: Stage) -> Report:
    """One after the other, each on another node; the Region is well afterwards."""
    from sandbox.recoveries import START_SECONDS

    stage.sandbox.apply_config(recovery={"start_seconds": START_SECONDS, "suspect_seconds": SUSPECT_SECONDS})
    told = {name: _one(stage, number, put_in, rung) for number, (name, put_in, rung) in enumerate(CASES)}
    seconds = {name: None if each.seconds is None else round(each.seconds, 1) for name, each in told.items()}
    figures: dict[str, Any] = {
        "remedy_seconds": seconds,
        "requests": {name: each.figures["requests"] for name, each in told.items()},
        "failed_requests": {name: each.figures["failed_requests"] for name, each in told.items()},
        **{key: sum(each.figures[key] for each in told.values()) for key in STILL},
    }
    faults = [f"{name}: {fault}" for name, each in told.items() for fault in each.faults]
    if figures["failed_requests"]["sick GPU"]:
        faults.append("a node that answered was taken out, and requests failed by that")
    timeline = [moment for each in told.values() for moment in each.timeline]
    return Report(NAME, stage.region_name, figures, timeline, faults)


def _one(stage: Stage, number: int, put_in: Callable[[Node], object], rung: str) -> _Told:
    from sandbox.recoveries import Recoveries
    from sandbox.witness import Witness

    region, cluster_id = stage.region, stage.region.primary
    witness, recoveries = Witness(region), Recoveries(region)
    node = region.nodes.nodes(cluster_id)[number]
    put_in(node)
    stage.say(f"{node.instance_id} of {cluster_id}: {CASES[number][0]}")
    if rung == "reset GPU":  # its report is what tells: it is asked for twice a minute
        stage.say("it goes on answering; its own report will tell")
    ended = recoveries.await_end(cluster_id, LIMIT_SECONDS)
    took = ended["stopDate"].timestamp() - recoveries.began_at
    time.sleep(AFTER_SECONDS)
    region.wait_for("healthy targets at the front door", lambda: _all_healthy(stage), LIMIT_SECONDS)
    region.wait_until_ready()
    seen, moved = witness.outage(), witness.figures()
    remedies = recoveries.remedies(cluster_id)
    told = _Told(took, {"requests": seen.requests, "failed_requests": seen.failed_requests, **moved}, [])
    told.timeline = sorted([*witness.timeline(), *recoveries.timeline(cluster_id)], key=lambda moment: moment.at)
    told.faults = witness.faults() + [f"{key} is {moved[key]}" for key in STILL if moved[key]]
    if ended["status"] != "SUCCEEDED":
        told.seconds = None
        told.faults.append(f"the recovery {ended['status']}: {ended.get('cause')}")
    if [(each.instance_id, str(each.rung)) for each in remedies] != [(node.instance_id, rung)]:
        told.faults.append(f"tried were {[(each.instance_id, str(each.rung)) for each in remedies]}")
    if (most := recoveries.most_at_once(cluster_id)) > 1:
        told.faults.append(f"{most} recoveries were at work at once")
    stage.say(f"mended after {took:.0f} s; {seen.failed_requests} of {seen.requests} requests failed")
    return told


def _all_healthy(stage: Stage) -> bool:
    found = stage.region.door.health()
    return len(found) == sum(stage.region.replicas.values()) and set(found.values()) == {"healthy"}


SCENARIO = Scenario(NAME, "one of four replicas is bad: taken out, mended, back in; nothing else moves", run)
