"""The faults of a node that count: confirmed from report to report, and remembered from boot to boot.

A finding counts once it stood in as many reports in a row as `CONFIRMED_BY` says; before that it is watched. A report
that found another one running looked at nothing: it is none of the row, and breaks none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from standfast.fault_memory import RETURNS, FaultMemory, Occurrence, add, returns
from standfast.faults import Fault, FaultKind, seen_in
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from standfast.fault_memory import NodeMemory
    from standfast.gpu import NodeReport

CONFIRMED_BY: Final[Mapping[FaultKind, int]] = {
    FaultKind.TOOL_HANGS: 3,
    FaultKind.MEMORY_HELD: 3,
    FaultKind.NO_CUDA: 2,
    FaultKind.STUCK: 2,
    FaultKind.FABRIC_MANAGER: 2,
    FaultKind.DRIVER_MISMATCH: 2,
}
"""Reports in a row. Half a minute apart, so a tool that hangs for a minute and a half is not merely slow."""


def find_faults(
    report: NodeReport, expected_gpus: int | None, memory: FaultMemory
) -> tuple[tuple[Fault, ...], NodeMemory, dict[str, tuple[Occurrence, ...]]]:
    """Every fault in a report, the heaviest first; the node's new memory; and UUID -> occurrences that are new.

    `expected_gpus` None: how many it should have is not known, and none is missing. Repeating it with the same report
    and the memory that it gave counts nothing twice.
    """
    before = memory.node(report.instance_id)
    if report.steps.get("lock"):
        return tuple(_returning(report, memory)), before, {}
    uuids = {**before.uuids, **{gpu.pci: gpu.uuid for gpu in report.gpus if gpu.pci and gpu.uuid}}
    node = replace(before, uuids=uuids)
    seen = seen_in(report, node, expected_gpus)
    again = report.taken_at <= before.taken_at
    counted = {fault.key: before.standing.get(fault.key, 0) + (not again) for fault in seen}
    found = [_confirmed(fault, counted[fault.key]) for fault in seen]
    heavy = [_occurrence(report, fault) for fault in found if fault.gpu and fault.action >= Action.RESET_GPU]
    node, gpus = _remembered(node, heavy, memory, report.taken_at)
    known = memory.with_nodes([node])
    known = replace(known, gpus={**known.gpus, **gpus})
    found += _returning(report, known)
    boot_id = report.boot_id or before.boot_id
    node = replace(node, standing=counted, boot_id=boot_id, taken_at=max(report.taken_at, before.taken_at))
    node = node if again else replace(node, slowdowns=_counters(report))
    return tuple(sorted(found, key=lambda fault: -fault.action)), node, gpus


def _confirmed(fault: Fault, times: int) -> Fault:
    needed = CONFIRMED_BY.get(fault.kind, 1)
    if times >= needed or fault.action <= Action.WATCH:
        return fault
    said = f"{fault.reason} (in {times} of {needed} reports)"
    return replace(fault, action=Action.WATCH, reason=said)


def _occurrence(report: NodeReport, fault: Fault) -> Occurrence:
    return Occurrence(report.taken_at, report.boot_id or "", fault.gpu, str(fault.kind))


def _remembered(
    node: NodeMemory, heavy: Iterable[Occurrence], memory: FaultMemory, now: float
) -> tuple[NodeMemory, dict[str, tuple[Occurrence, ...]]]:
    """The node with what its nameless GPUs had, and the named GPUs whose memory changes."""
    nameless: list[Occurrence] = []
    named: dict[str, list[Occurrence]] = {}
    for occurrence in heavy:
        if occurrence.gpu in node.uuids.values():
            named.setdefault(occurrence.gpu, []).append(occurrence)
        else:
            nameless.append(occurrence)
    gpus = {uuid: add(memory.gpus.get(uuid, ()), new, now) for uuid, new in named.items()}
    changed = {uuid: known for uuid, known in gpus.items() if known != memory.gpus.get(uuid, ())}
    return replace(node, occurrences=add(node.occurrences, nameless, now)), changed


def _returning(report: NodeReport, memory: FaultMemory) -> Iterator[Fault]:
    """GPUs whose faults come back after each reboot, however clean they look now."""
    node = memory.node(report.instance_id)
    present = {gpu.uuid for gpu in report.gpus if gpu.uuid} or set(node.uuids.values())
    for gpu in sorted(present | {each.gpu for each in node.occurrences}):
        times = returns(memory.of(gpu, report.instance_id), report.taken_at)
        if times >= RETURNS:
            said = f"GPU {gpu} was at fault in {times} boots of the last week, so a reboot does not mend it"
            yield Fault(FaultKind.RETURNS, Action.REPLACE, said, gpu)


def _counters(report: NodeReport) -> dict[str, dict[str, int]]:
    return {gpu.uuid: dict(gpu.slowdown_microseconds) for gpu in report.gpus if gpu.uuid and gpu.slowdown_microseconds}
