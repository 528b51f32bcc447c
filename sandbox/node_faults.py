"""Faults of a node, one at a time: put in, assessed until the verdict comes, mended, and assessed until it is well.

What is wanted of each is NVIDIA's own word for an Xid (standfast/catalogue/xids.json), else the table of
`standfast.faults`. The lines are those that the driver writes. The engine of a sandbox node computes on the CPU and
feels none of these faults: what is proven is what the node's report tells, without any other sign.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.fault_table import FaultRow, plain_health
from standfast.health import Verdict
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.bystanders import Bystanders
    from sandbox.fleet.node_state import NodeState
    from sandbox.fleet.nodes import Node
    from sandbox.region import SandboxRegion
    from standfast.checks import NodeFinding
    from standfast.stores import View

MOST_ASSESSMENTS: Final = 6
"""Until the verdict: three reports confirm what needs most of them, and some may be lost to one another."""


@dataclass(frozen=True, slots=True)
class NodeFault:
    """One fault, with the verdict and the action that it must come to."""

    name: str
    put_in: Callable[[NodeState], None]
    verdict: Verdict
    wanted: Action

    def mend(self, node: NodeState) -> None:
        """Do what it calls for, as far as that changes the node: a new boot, or what leaves the boot as it is."""
        if self.wanted is Action.REBOOT:
            node.reboot()
        else:
            node.clear()


def _off_the_bus(node: NodeState) -> None:
    """As an older driver tells it: NVIDIA's table must do, without the driver's own verdict."""
    node.lose_gpu(0, driver_says_what_to_do=False)


def _double_bit_error(node: NodeState) -> None:
    node.add_xid(48, "pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected")
    node.set_field(0, "ecc.errors.uncorrected.volatile.total", "1")


def _row_to_remap(node: NodeState) -> None:
    node.add_xid(63, "pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.")
    node.set_field(0, "remapped_rows.pending", "Yes")


def _contained_error(node: NodeState) -> None:
    said = f"pid={node.engine_pid(0)}, name=VLLM::Worker_TP0, Contained: CE User Channel (0x9). RST: No, D-RST: No"
    node.add_xid(94, said)


def _gsp_timeout(node: NodeState) -> None:
    said = "Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL)"
    node.add_xid(119, f"pid={node.engine_pid(0)}, name=nvc:[driver], {said} (0x20802a02 0x4).")


def _driver_wants_a_reboot(node: NodeState) -> None:
    """NVIDIA's table has a reset for Xid 119. The driver knows better, and its word counts."""
    _gsp_timeout(node)
    node.add_xid(154, "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)")


GPU_FAULTS: Final = (
    NodeFault("Xid 79: off the bus", _off_the_bus, Verdict.UNHEALTHY, Action.REBOOT),
    NodeFault("Xid 48: double bit error", _double_bit_error, Verdict.UNHEALTHY, Action.RESET_GPU),
    NodeFault("Xid 63: a row to remap", _row_to_remap, Verdict.DEGRADED, Action.WATCH),
    NodeFault("Xid 94: contained error", _contained_error, Verdict.DEGRADED, Action.RESTART_ENGINE),
    NodeFault("Xid 119: GSP timeout", _gsp_timeout, Verdict.UNHEALTHY, Action.RESET_GPU),
    NodeFault("Xid 154: reboot, after 119", _driver_wants_a_reboot, Verdict.UNHEALTHY, Action.REBOOT),
    NodeFault(
        "off the bus without an Xid", lambda node: node.lose_gpu_without_xid(0), Verdict.UNHEALTHY, Action.REBOOT
    ),
    NodeFault("remapping failed", lambda node: node.fail_remapping(0), Verdict.UNHEALTHY, Action.REPLACE),
    NodeFault("a GPU is missing", lambda node: node.remove_gpu(0), Verdict.UNHEALTHY, Action.REBOOT),
    NodeFault("nvidia-smi hangs", lambda node: node.hang_nvidia_smi(), Verdict.UNKNOWN, Action.DRAIN),
)
"""Without nvidia-smi nobody knows the GPUs: the node is unknown, and to be drained as what still serves."""

FRAGILE: Final = (
    NodeFault("CUDA does not start", lambda node: node.break_cuda(), Verdict.DEGRADED, Action.DRAIN),
    NodeFault("CUDA hangs at the start", lambda node: node.hang_cuda(), Verdict.DEGRADED, Action.DRAIN),
    NodeFault("driver and library differ", lambda node: node.mismatch_driver(), Verdict.UNKNOWN, Action.DRAIN),
)
"""The engine that runs goes on; one that is started anew would not come up."""


def finding_of(view: View, node: Node) -> NodeFinding | None:
    """What the last assessment found of a node."""
    health = view.nodes.get(node.cluster_id)
    return next((found for found in health.nodes if found.instance_id == node.instance_id), None) if health else None


def is_settled(finding: NodeFinding | None, wanted: Action) -> bool:
    """Whether that is a verdict: what is only watched may still be waiting for its confirmation."""
    return finding is not None and (finding.action > Action.WATCH or finding.action is wanted is not Action.IGNORE)


def row(fault: NodeFault, finding: NodeFinding | None, plain: str, seconds: float) -> FaultRow:
    """What came of a fault after so many seconds; a node that is still found well means that it was missed."""
    if finding is None or finding.verdict is Verdict.HEALTHY:
        return FaultRow(fault.name, plain, "healthy", "", None, wanted_action=str(fault.wanted))
    return FaultRow(
        fault.name, plain, str(finding.verdict), finding.reason, seconds, str(finding.action), str(fault.wanted)
    )


def wrong_verdicts(faults: Sequence[NodeFault], rows: Sequence[FaultRow]) -> list[str]:
    """The faults that were found with another verdict than theirs, a sentence each."""
    return [
        f"{fault.name}: the node is {found.verdict}, not {fault.verdict}"
        for fault, found in zip(faults, rows, strict=True)
        if found.found and found.verdict != fault.verdict
    ]


def try_fault(region: SandboxRegion, node: Node, fault: NodeFault, others: Bystanders) -> FaultRow:
    """Put it in and assess until the verdict comes. The fault is left in, and the node excused."""
    others.excuse(node)
    began_at = time.time()
    fault.put_in(node.shell)
    plain = plain_health(node.replica.url)
    finding = None
    for _ in range(MOST_ASSESSMENTS):
        others.assess(region)
        finding = finding_of(region.view(), node)
        if is_settled(finding, fault.wanted):
            break
    return row(fault, finding, plain, time.time() - began_at)


def see_it_well(region: SandboxRegion, node: Node, others: Bystanders) -> str | None:
    """Assess a node that was mended until it is found well. None, or what is found instead."""
    finding = None
    for _ in range(MOST_ASSESSMENTS):
        others.assess(region)
        finding = finding_of(region.view(), node)
        if finding is not None and finding.verdict is Verdict.HEALTHY:
            others.excuse(None)
            return None
    return f"{finding.verdict}: {finding.reason}" if finding else "nothing is known of it"


def try_each(
    region: SandboxRegion,
    nodes: Sequence[Node],
    faults: Sequence[NodeFault],
    others: Bystanders,
    say: Callable[[str], None],
) -> tuple[list[FaultRow], list[str]]:
    """One fault after the other, each on the next node. The rows, and who was not well after the mend."""
    rows: list[FaultRow] = []
    unwell: list[str] = []
    for number, fault in enumerate(faults):
        node = nodes[number % len(nodes)]
        found = try_fault(region, node, fault, others)
        rows.append(found)
        fault.mend(node.shell)
        still = see_it_well(region, node, others)
        if still is not None:
            unwell.append(f"{fault.name}: {node.instance_id} is mended, and still {still}")
        after = f"{found.verdict}, {found.action} after {found.seconds:.1f} s" if found.seconds else "not found"
        say(f"{fault.name} on a node of {node.cluster_id}: {after}; {'mended and well' if still is None else still}")
    return rows, unwell
