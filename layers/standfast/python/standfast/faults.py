"""What is wrong with a node, fault by fault, and what each calls for.

| fault | action |
|---|---|
| an Xid or SXid | NVIDIA's own, in catalogue/xids.json; Xid 154, the driver's verdict, outranks those before it |
| off the bus without an Xid, lost, or missing | reboot |
| a row that could not be remapped | replace (NVIDIA, GPU memory error management, RMA policy thresholds) |
| the same GPU at fault in three boots of a week (fault_finding) | replace |
| memory of a GPU that no process holds | reset GPU |
| a process that hangs in the driver | reboot: no signal ends it |
| CUDA cannot start, driver and library differ, no fabric manager | drain: what runs goes on, a restart ends it |
| slowed down, a narrow link, pending remapping, new ECC errors | watch |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from standfast.gpu import BAD_INFOROM, LOST, MISMATCH, NO_DEVICE, NO_DRIVER, TIMED_OUT, problem
from standfast.xids import Action, Xid, entry, recovery_wanted, standing, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standfast.fault_memory import NodeMemory
    from standfast.gpu import NodeReport
    from standfast.nvidia_smi import Gpu

RECENT_SECONDS: Final = 3600.0
"""A line of the kernel log that calls for no reset says nothing of now when it is older."""
SLOWED_SHARE: Final = 0.2
"""A GPU that spends more of its time slowed down by heat or a power brake serves late."""
BY_DESIGN: Final = ("sw_power_cap", "sync_boost")
"""A GPU that works hard is at its power cap: that is no fault."""
AT_WORK: Final = frozenset({"P0", "P1", "P2"})
MEMORY_HELD_MIB: Final = 2048.0
"""The driver itself holds up to some hundred MiB of each GPU."""


class FaultKind(StrEnum):
    """What is wrong."""

    XID = "xid"
    OFF_THE_BUS = "off the bus"
    LOST = "lost"
    MISSING = "missing"
    RECOVERY_ACTION = "recovery action"
    REMAP_FAILED = "remap failed"
    MEMORY_WEARS = "memory wears"
    SLOWED = "slowed"
    NARROW_LINK = "narrow link"
    FABRIC = "fabric"
    FABRIC_MANAGER = "fabric manager"
    MEMORY_HELD = "memory held"
    DRIVER_MISMATCH = "driver mismatch"
    NO_DRIVER = "no driver"
    NO_CUDA = "no new process"
    STUCK = "stuck process"
    TOOL_HANGS = "nvidia-smi hangs"
    UNREADABLE = "unreadable"
    RETURNS = "returns"
    DCGM = "dcgm"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `gpu` is its UUID or PCI address, empty when it is the node's."""

    kind: FaultKind
    action: Action
    reason: str
    gpu: str = ""

    @property
    def key(self) -> str:
        """What is counted from report to report."""
        return f"{self.kind} {self.gpu}".rstrip()


def seen_in(report: NodeReport, node: NodeMemory, expected_gpus: int | None) -> tuple[Fault, ...]:
    """Every fault that one report shows. `node` is what is known of it, with the GPUs of this report.

    `expected_gpus` None: how many it should have is not known; then those on the PCI bus count.
    """
    return (
        *_of_kernel(report, node),
        *_of_table(report, expected_gpus),
        *_of_node(report),
        *_slowed(report, node),
    )


def _of_kernel(report: NodeReport, node: NodeMemory) -> Iterator[Fault]:
    alike: dict[tuple[str, int], list[Xid]] = {}
    for xid in standing(report.xids):
        alike.setdefault((xid.pci, xid.code), []).append(xid)
    for xids in alike.values():
        action = max(_wanted_now(xid, report) for xid in xids)
        if action is not Action.IGNORE:
            last, many = xids[-1], f", {len(xids)} of them" * (len(xids) > 1)
            known = None if last.switch else entry(last.code)
            meaning = f": {known.meaning}" if known and action > Action.WATCH else ""
            yield Fault(FaultKind.XID, action, f"{last}{many}{meaning}", node.name_of(last.pci))
    for name in report.lost:
        said = f"{name} has fallen off the bus or cannot be reached"
        yield Fault(FaultKind.OFF_THE_BUS, Action.REBOOT, said, node.name_of(name))


def _wanted_now(xid: Xid, report: NodeReport) -> Action:
    """What an Xid calls for at this time: one that wants a restart has had it when its process is gone."""
    action = wanted(xid)
    if action >= Action.RESET_GPU:
        return action
    if xid.at is not None and report.taken_at - xid.at > RECENT_SECONDS:
        return Action.IGNORE
    if action is Action.RESTART_ENGINE and not _still_runs(xid, report):
        return Action.WATCH
    return action


def _still_runs(xid: Xid, report: NodeReport) -> bool:
    return report.apps is not None and xid.pid in {app.pid for app in report.apps}


def _of_table(report: NodeReport, expected: int | None) -> Iterator[Fault]:
    for gpu in report.gpus:
        if gpu.lost:
            said = f"{gpu} does not answer ({', '.join(gpu.errors[:3])})"
            yield Fault(FaultKind.LOST, Action.REBOOT, said, gpu.uuid or gpu.pci)
            continue
        yield from _of_gpu(gpu)
        if (held := _held_by_nobody(gpu, report)) is not None:
            yield held
    answering = sum(not gpu.lost for gpu in report.gpus)
    if expected is not None and report.gpus and answering < expected:
        yield Fault(FaultKind.MISSING, Action.REBOOT, f"{answering} of {expected} GPUs answer")
    on_bus = len(report.pci_gpus or ()) - len(report.pci_silent)
    if expected is None and report.gpus and on_bus > len(report.gpus):
        yield Fault(FaultKind.MISSING, Action.REBOOT, f"{len(report.gpus)} of {on_bus} GPUs on the PCI bus answer")


def _of_gpu(gpu: Gpu) -> Iterator[Fault]:
    name = gpu.uuid or gpu.pci
    if gpu.recovery_action is not None and (action := recovery_wanted(gpu.recovery_action)):
        said = f"the driver's recovery action for {gpu} is {gpu.recovery_action}"
        yield Fault(FaultKind.RECOVERY_ACTION, action, said, name)
    if gpu.remapping_failed:
        yield Fault(FaultKind.REMAP_FAILED, Action.REPLACE, f"{gpu} could not remap a row of its memory", name)
    wears = {
        "remaps a row at its next reset": gpu.remapping_pending,
        "retires a page at the next reboot": gpu.retirement_pending,
        f"counts {gpu.ecc_volatile} uncorrected ECC errors since the driver was loaded": gpu.ecc_volatile,
    }
    for said, is_so in wears.items():
        if is_so:
            yield Fault(FaultKind.MEMORY_WEARS, Action.WATCH, f"{gpu} {said}", name)
    at_work = gpu.pstate in AT_WORK  # an idle GPU may narrow its link
    if at_work and gpu.pcie_width and gpu.pcie_width_max and gpu.pcie_width < gpu.pcie_width_max:
        said = f"{gpu} uses {gpu.pcie_width} of {gpu.pcie_width_max} PCIe lanes"
        yield Fault(FaultKind.NARROW_LINK, Action.WATCH, said, name)
    if gpu.fabric_state is not None and gpu.fabric_state.lower() not in ("completed", "not supported", "n/a"):
        yield Fault(FaultKind.FABRIC, Action.WATCH, f"{gpu} has not joined its NVLink fabric: {gpu.fabric_state}", name)
    if gpu.errors:
        yield Fault(FaultKind.UNREADABLE, Action.WATCH, f"{gpu} does not say {', '.join(gpu.errors[:3])}", name)


def _held_by_nobody(gpu: Gpu, report: NodeReport) -> Fault | None:
    """Memory that is used and belongs to no process. Of MIG instances the parent says nothing."""
    if report.apps is None or gpu.mig or (gpu.memory_used or 0.0) <= MEMORY_HELD_MIB:
        return None
    if any(app.gpu_uuid == gpu.uuid for app in report.apps):
        return None
    said = f"{gpu} has {gpu.memory_used:.0f} MiB in use, and no process holds them"
    return Fault(FaultKind.MEMORY_HELD, Action.RESET_GPU, said, gpu.uuid or gpu.pci)


def _of_node(report: NodeReport) -> Iterator[Fault]:
    yield from _of_tool(report)
    yield from _of_starts(report)
    for process in report.stuck:
        in_driver = any(part in process.where for part in ("nv", "uvm", "rm_"))
        said = f"process {process.pid} ({process.name}) hangs in the kernel, in {process.where}"
        yield Fault(FaultKind.STUCK, Action.REBOOT if in_driver else Action.WATCH, said)
    for said in report.dcgm or ():
        yield Fault(FaultKind.DCGM, Action.WATCH, f"DCGM says: {said}")
    if status := report.steps.get("kernel", 0):
        yield Fault(FaultKind.UNREADABLE, Action.WATCH, problem("kernel", status))


_TOOL: Final = {
    NO_DEVICE: (FaultKind.LOST, Action.REBOOT),
    LOST: (FaultKind.LOST, Action.REBOOT),
    NO_DRIVER: (FaultKind.NO_DRIVER, Action.REBOOT),
    MISMATCH: (FaultKind.DRIVER_MISMATCH, Action.DRAIN),
    BAD_INFOROM: (FaultKind.UNREADABLE, Action.WATCH),
    **dict.fromkeys(TIMED_OUT, (FaultKind.TOOL_HANGS, Action.DRAIN)),
}


def _of_tool(report: NodeReport) -> Iterator[Fault]:
    """What the end of nvidia-smi says of the node."""
    status = report.steps.get("gpus", 0)
    if status in _TOOL:
        yield Fault(*_TOOL[status], problem("gpus", status))
    elif status:
        yield Fault(FaultKind.UNREADABLE, Action.WATCH, problem("gpus", status))
    for address in report.pci_silent:
        said = f"the GPU at {address} is on the bus in name only: it reads as all ones"
        yield Fault(FaultKind.OFF_THE_BUS, Action.REBOOT, said, address)


def _of_starts(report: NodeReport) -> Iterator[Fault]:
    """What runs goes on, and what is started anew will not: such a node is drained, and its engine not restarted."""
    cuda, answering = report.cuda, sum(not gpu.lost for gpu in report.gpus)
    if cuda is not None and (cuda.timed_out or cuda.status):
        why = "it hangs" if cuda.timed_out else f"error {cuda.status}"
        said = f"a new process cannot start CUDA ({why}): a restart would end the engine that runs"
        yield Fault(FaultKind.NO_CUDA, Action.DRAIN, said)
    elif cuda is not None and cuda.gpus is not None and cuda.gpus < answering:
        said = f"a new process would find {cuda.gpus} of {answering} GPUs"
        yield Fault(FaultKind.NO_CUDA, Action.DRAIN, said)
    if report.switches and report.fabric_manager in ("inactive", "failed"):
        said = f"the fabric manager is {report.fabric_manager}: no new process can use the NVSwitches"
        yield Fault(FaultKind.FABRIC_MANAGER, Action.DRAIN, said)
    if report.driver and report.loaded_driver and report.driver != report.loaded_driver:
        said = f"the loaded driver is {report.loaded_driver}, its library is {report.driver}: nothing new can start"
        yield Fault(FaultKind.DRIVER_MISMATCH, Action.DRAIN, said)


def _slowed(report: NodeReport, before: NodeMemory) -> Iterator[Fault]:
    """By the share of the time since the last report; by what is active now where the driver does not count it."""
    seconds = report.taken_at - before.taken_at
    for gpu in report.gpus:
        known = before.slowdowns.get(gpu.uuid)
        counted = {name: value for name, value in gpu.slowdown_microseconds or () if name not in BY_DESIGN}
        if counted:
            same_boot = known is not None and before.boot_id == (report.boot_id or "") and seconds > 0
            worst = max(
                ((value - (known or {}).get(name, value)) / 1e6 / seconds, name) for name, value in counted.items()
            ) if same_boot else (0.0, "")  # fmt: skip
            said = f"{gpu} was slowed down for {worst[0]:.0%} of the time ({worst[1]})"
            is_slow = worst[0] > SLOWED_SHARE
        else:
            active = [name for name in gpu.slowdowns or () if name.startswith("hw_") or name == "sw_thermal_slowdown"]
            said, is_slow = f"{gpu} is slowed down ({', '.join(active)})", bool(active)
        if is_slow:
            yield Fault(FaultKind.SLOWED, Action.WATCH, said, gpu.uuid or gpu.pci)
