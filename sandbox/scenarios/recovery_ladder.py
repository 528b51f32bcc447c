"""`recovery-ladder`: the active cluster dies five times, each time with another fault in one of its nodes.

The traffic is moved, the cluster is mended, and is standby again. The fifth fault is in every node that ever comes:
that cluster stays quarantined, and somebody is woken.

Three of four replicas die each time. Two come back by a restart of their engines; the third node has the fault. What a
real boot, launch and load of a model take in minutes, takes seconds here: what is measured is our own part.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.fleet.nodes import Node
    from sandbox.fleet.shell import NodeShell
    from sandbox.scenario import Stage

NAME: Final = "recovery-ladder"
LIMIT_SECONDS: Final = 240.0
"""From the fault to a standby: a host that is busy with other things takes twice as long as one that is not."""


def _nothing_more(_: NodeShell) -> None:
    """The engine is dead, and its node is well."""


FAULTS: Final[tuple[tuple[str, Callable[[NodeShell], None]], ...]] = (
    ("restart engine", _nothing_more),
    ("reset GPU", lambda shell: shell.add_xid(95, "pid={pid}, name=VLLM::Worker_TP0, Uncontained ECC error")),
    ("reboot", lambda shell: shell.lose_gpu(0)),
    ("replace", lambda shell: shell.fail_remapping(0)),
)


@dataclass(slots=True)
class _Told:
    """What came of one fault."""

    seconds: float | None
    rungs: list[str]
    timeline: list[Moment]
    faults: list[str] = field(default_factory=list)


def run(stage: Stage) -> Report:
    """Each rung once, then the one that never helps. The Region is left with a quarantined cluster."""
    from sandbox.witness import Witness

    witness = Witness(stage.region)
    seconds: dict[str, float | None] = {}
    rungs: dict[str, list[str]] = {}
    timeline: list[Moment] = []
    faults: list[str] = []
    for name, put_in in FAULTS:
        told = _one(stage, name, put_in)
        seconds[name], rungs[name] = told.seconds, told.rungs
        faults += [f"{name}: {fault}" for fault in told.faults]
        timeline += told.timeline
        stage.say(f"{name}: {_in_words(told)}")
        _mend(stage)
    never = _never(stage)
    rungs["never"] = never.rungs
    faults += [f"never: {fault}" for fault in never.faults]
    timeline += never.timeline
    stage.say(f"never: {_in_words(never)}")
    figures: dict[str, Any] = {
        "remedy_seconds": {name: None if took is None else round(took, 1) for name, took in seconds.items()},
        "rungs": rungs,
        "zero_weight_moments": sum(not any(change.weights.values()) for change in witness.rule_changes()),
        "failovers": len(witness.failovers()),
    }
    faults += witness.faults()
    return Report(NAME, stage.region_name, figures, timeline, faults)


def _break(stage: Stage, put_in: Callable[[NodeShell], None]) -> Node:
    """Three of four replicas die, and the first node has a fault."""
    first, second, third, *_ = stage.region.nodes.nodes(stage.region.primary)
    for node in (first, second, third):
        node.replica.kill()
    put_in(first.shell)
    return first


def _one(stage: Stage, name: str, put_in: Callable[[NodeShell], None]) -> _Told:
    from sandbox.recoveries import START_SECONDS, Recoveries
    from standfast.fleet import Role

    region = stage.region
    stage.sandbox.apply_config(recovery={"start_seconds": START_SECONDS}, failover={"drain_seconds": 2})
    recoveries = Recoveries(region)
    sick = _break(stage, put_in)
    ended = recoveries.await_end(region.primary, LIMIT_SECONDS)
    took = ended["stopDate"].timestamp() - recoveries.began_at
    rungs = [str(each.rung) for each in recoveries.remedies(region.primary) if each.instance_id == sick.instance_id]
    told = _Told(took, rungs, recoveries.timeline(region.primary))
    if ended["status"] != "SUCCEEDED":
        told.seconds = None
        told.faults.append(f"the recovery {ended['status']}: {ended.get('cause')}")
    if (role := region.view().scope.desired.roles[region.primary]) is not Role.STANDBY:
        told.faults.append(f"{region.primary} is {role}")
    if rungs != [name]:
        told.faults.append(f"tried were {rungs}")
    if (most := recoveries.most_at_once(region.primary)) > 1:
        told.faults.append(f"{most} recoveries were at work at once")
    return told


def _never(stage: Stage) -> _Told:
    """An image that does not fit the hardware, say: what is launched in the node's place is as sick."""
    from sandbox.recoveries import START_SECONDS, Recoveries
    from standfast.fleet import Role

    region = stage.region
    stage.sandbox.apply_config(recovery={"start_seconds": START_SECONDS}, failover={"drain_seconds": 2})
    recoveries, heard = Recoveries(region), len(region.messages())
    region.nodes.on_new(lambda node: node.shell.fail_remapping(0))
    _break(stage, lambda shell: shell.fail_remapping(0))
    ended = recoveries.await_end(region.primary, LIMIT_SECONDS)
    rungs = [str(each.rung) for each in recoveries.remedies(region.primary)]
    told = _Told(None, rungs, recoveries.timeline(region.primary))
    if (ended["status"], ended.get("error")) != ("FAILED", "RecoveryDidNotSucceed"):
        told.faults.append(f"the recovery {ended['status']}: {ended.get('cause')}")
    if (role := region.view().scope.desired.roles[region.primary]) is not Role.QUARANTINED:
        told.faults.append(f"{region.primary} is {role}")
    subject = f"{region.name}: {region.primary} is not mended"
    if not any(each.topic == "page" and each.subject == subject for each in region.messages()[heard:]):
        told.faults.append("nobody was paged")
    return told


def _mend(stage: Stage) -> None:
    """Move the traffic back by hand. Meanwhile nothing mends by itself: two hands would be on it."""
    stage.sandbox.apply_config()
    stage.say("moving the traffic back")
    stage.region.invoke("discover-replicas", {})
    stage.region.restore()
    time.sleep(1.0)


def _in_words(told: _Told) -> str:
    took = "never" if told.seconds is None else f"standby again after {told.seconds:.0f} s"
    return f"{took}; the sick node had {', '.join(told.rungs) or 'no remedy'}" + "".join(
        f"; NOT AS IT SHOULD BE: {fault}" for fault in told.faults
    )


SCENARIO = Scenario(NAME, "a cluster dies, is mended by each rung of the ladder, is standby again; one never is", run)
