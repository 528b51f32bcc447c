"""`restart-fragile`: an active node serves, and no new process can start CUDA there. It must be drained: a restart of
its engine, the usual first remedy, would take it from serving to dead. Requests go on being answered, nothing moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "restart-fragile"
STILL: Final = ("weight_changes", "failovers_started", "pages")
ADVICE: Final = "do not restart its engine"


def run(stage: Stage) -> Report:
    """Once; the Region is well afterwards."""
    from sandbox import fault_table, node_faults
    from sandbox.bystanders import Bystanders
    from sandbox.witness import Witness

    region = stage.region
    witness, others = Witness(region), Bystanders(stage.sandbox)
    others.look()
    active = region.nodes.nodes(region.primary)
    rows, unwell = node_faults.try_each(region, active, node_faults.FRAGILE, others, stage.say)
    false, moved, seen = others.false_verdicts(), witness.figures(), witness.outage()
    told = {node.instance_id for node in active[: len(rows)]}
    advised = {
        name for name in told for each in witness.messages("notice") if name in each.subject and ADVICE in each.text
    }
    found = fault_table.figures(rows, false) | moved
    found |= {"requests": seen.requests, "failed_requests": seen.failed_requests, "advised": len(advised)}
    faults = witness.faults() + fault_table.complaints(rows, false) + unwell
    faults += node_faults.wrong_verdicts(node_faults.FRAGILE, rows)
    faults += [f"{key} is {moved[key]}" for key in STILL if moved[key]]
    faults += [f"nobody was told of {name}: {ADVICE}" for name in sorted(told - advised)]
    if seen.failed_requests or not seen.requests:
        faults.append(f"{seen.failed_requests} of {seen.requests} requests failed")
    return Report(NAME, stage.region_name, found, witness.timeline(), faults)


SCENARIO = Scenario(NAME, "a node serves and no new process can start CUDA: drain it, do not restart its engine", run)
