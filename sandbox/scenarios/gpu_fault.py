"""`gpu-fault`: every class of GPU fault in a node, one after the other, each found with what it calls for; then a GPU
that falls off the bus six times and looks clean after each reboot, which must end in *replace*.

On the way no other node and no cluster may be found unwell, and nothing moves: a cluster with one bad node serves.
The six losses lie hours apart in life and seconds apart here. What is counted is boots, and there are six.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.bystanders import Bystanders
    from sandbox.fault_table import FaultRow
    from sandbox.fleet.nodes import Node
    from sandbox.scenario import Stage

NAME: Final = "gpu-fault"
BOOTS: Final = 6
STILL: Final = ("weight_changes", "failovers_started", "pages")


def run(stage: Stage) -> Report:
    """Once; in the end one node is to be replaced."""
    from sandbox import fault_table, node_faults
    from sandbox.bystanders import Bystanders
    from sandbox.witness import Witness

    region = stage.region
    witness, others = Witness(region), Bystanders(stage.sandbox)
    others.look()
    *standby, returning = (*region.nodes.nodes(region.standby), *region.nodes.nodes(region.primary))
    rows, unwell = node_faults.try_each(region, standby, node_faults.GPU_FAULTS, others, stage.say)
    wrong = node_faults.wrong_verdicts(node_faults.GPU_FAULTS, rows)
    again = _lose_it_again_and_again(stage, returning, others)
    rows.append(again.row)
    false = others.false_verdicts()
    moved = witness.figures()
    seen = witness.outage()
    found = fault_table.figures(rows, false) | moved
    found |= {"boots_to_replace": again.replaced_in, "requests": seen.requests, "failed_requests": seen.failed_requests}
    faults = witness.faults() + fault_table.complaints(rows, false) + wrong + unwell + again.faults
    faults += [f"{key} is {moved[key]}" for key in STILL if moved[key]]
    if seen.failed_requests:
        faults.append(f"{seen.failed_requests} of {seen.requests} requests failed")
    return Report(NAME, stage.region_name, found, witness.timeline(), faults)


@dataclass(slots=True)
class _Again:
    """What came of the losses. `replaced_in`: the boot in which it was found to call for a replacement."""

    row: FaultRow
    replaced_in: int | None = None
    faults: list[str] = field(default_factory=list)


def _lose_it_again_and_again(stage: Stage, node: Node, others: Bystanders) -> _Again:
    """Xid 79, a reboot after which the node looks clean, and so on. The verdict that counts is the last, on a clean
    report."""
    from sandbox import node_faults
    from sandbox.fault_table import plain_health
    from standfast.fault_memory import RETURNS
    from standfast.health import Verdict
    from standfast.xids import Action

    region = stage.region
    others.excuse(node)
    began_at, replaced_in, replaced_at = time.time(), None, None
    faults: list[str] = []
    plain, finding = "", None
    loss = node_faults.NodeFault("Xid 79", lambda state: state.lose_gpu(0), Verdict.UNHEALTHY, Action.REBOOT)
    for boot in range(1, BOOTS + 1):
        lost = node_faults.try_fault(region, node, loss, others)
        wanted = Action.REPLACE if boot >= RETURNS else Action.REBOOT
        if lost.action != str(wanted):
            faults.append(f"boot {boot} with Xid 79: found to call for {lost.action or 'nothing'}, not for {wanted}")
        if lost.action == str(Action.REPLACE) and replaced_in is None:
            replaced_in, replaced_at = boot, time.time()
        node.shell.reboot()
        others.assess(region)
        plain, finding = plain_health(node.replica.url), node_faults.finding_of(region.view(), node)
        clean = finding is not None and finding.action is (Action.REPLACE if boot >= RETURNS else Action.IGNORE)
        after = f"{finding.verdict}, {finding.action}" if finding else "nothing is known"
        if not clean:
            faults.append(f"after boot {boot} the node looks clean, and is found {after}")
        stage.say(f"Xid 79, boot {boot} of {BOOTS}: {lost.action}; clean after the reboot: {after}")
    returns = node_faults.NodeFault("Xid 79 in six boots", loss.put_in, Verdict.UNHEALTHY, Action.REPLACE)
    found = node_faults.row(returns, finding, plain, (replaced_at or time.time()) - began_at)
    return _Again(found, replaced_in, faults)


SCENARIO = Scenario(
    NAME, "every class of GPU fault in a node, one by one: found, with what it calls for; no other", run
)
