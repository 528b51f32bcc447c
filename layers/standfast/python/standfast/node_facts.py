"""What the smaller steps of the node report print. None is what they do not say; any text is read without an error."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from standfast.xids import pci_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NOT_INSTALLED: Final = "not installed"
_GPU_CLASSES: Final = frozenset({"0300", "0302"})
_SWITCH_CLASS: Final = "0680"
_PCI_DEVICE: Final = re.compile(r"([0-9a-f:.]{7,16}) ([0-9a-f]{4}): 10de:[0-9a-f]{4}(?: \(rev ([0-9a-f]{2})\))?")
_SILENT_REVISION: Final = "ff"
_STUCK: Final = re.compile(r"D\s+([0-9]{1,10})\s+(\S{1,64})\s+(\S.{0,63})")
_UNIT_STATE: Final = re.compile(r"(LoadState|ActiveState)=([a-z-]{1,32})")
_VERSION: Final = re.compile(r"\s([0-9]{3,4}\.[0-9]{2,3}(?:\.[0-9]{2})?)\s")
_CUDA: Final = re.compile(r"([0-9]{1,4})(?: ([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class PciDevices:
    """NVIDIA's devices on the PCI bus: GPUs by address, as `standfast.xids.pci_address` writes it, and NVSwitches.

    `silent` are those of the GPUs whose configuration space reads as all ones (revision ff): they have left the bus
    and the kernel still has their entry. Without values: nobody knows.
    """

    gpus: tuple[str, ...] | None = None
    switches: int | None = None
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StuckProcess:
    """A process in state D, which no signal ends, with the kernel function in which it waits (`-`: not said)."""

    pid: int
    name: str
    where: str


@dataclass(frozen=True, slots=True)
class CudaStart:
    """How a new process fared with CUDA. `status` is cuInit's or cuDeviceGetCount's (CUresult, 0 is success).

    `timed_out`: it had to be ended, and there is no status. `gpus` is how many CUDA counts, with status 0 only.
    """

    status: int | None
    gpus: int | None = None
    timed_out: bool = False


def read_pci(lines: Iterable[str]) -> PciDevices:
    """The devices in `lspci -Dn -d 10de:`. Classes: 0300 and 0302 are GPUs, 0680 is an NVSwitch (pci.ids)."""
    gpus: dict[str, str] = {}
    switches: set[str] = set()
    for line in lines:
        found = _PCI_DEVICE.match(line.lower())
        if found is None or (address := pci_address(found[1])) is None:
            continue
        if found[2] in _GPU_CLASSES:
            gpus[address] = found[3] or ""
        elif found[2] == _SWITCH_CLASS:
            switches.add(address)
    silent = tuple(address for address, revision in gpus.items() if revision == _SILENT_REVISION)
    return PciDevices(tuple(gpus), len(switches), silent)


def read_fabric_manager(lines: Iterable[str]) -> str | None:
    """The state of a unit in `systemctl show -p LoadState,ActiveState`: systemd's word, or `NOT_INSTALLED`."""
    said = {found[1]: found[2] for line in lines if (found := _UNIT_STATE.fullmatch(line.strip())) is not None}
    return NOT_INSTALLED if said.get("LoadState") == "not-found" else said.get("ActiveState")


def read_stuck(lines: Iterable[str]) -> tuple[StuckProcess, ...]:
    """The processes in `ps -o state=,pid=,wchan:32=,comm=` that are in state D."""
    found = (_STUCK.match(line.strip()) for line in lines)
    return tuple(StuckProcess(int(each[1]), each[3].strip(), each[2]) for each in found if each is not None)


def read_driver(line: str) -> str | None:
    """The version of the loaded driver in the first line of /proc/driver/nvidia/version."""
    found = _VERSION.search(f"{line} ") if line.startswith("NVRM version:") else None
    return None if found is None else found[1]


def read_cuda(line: str) -> CudaStart | None:
    """A status and, when that is 0, the number of GPUs."""
    found = _CUDA.fullmatch(line.strip())
    if found is None or (int(found[1]) == 0) != (found[2] is not None):
        return None
    return CudaStart(int(found[1]), None if found[2] is None else int(found[2]))


def read_dcgm(lines: Iterable[str]) -> tuple[str, ...] | None:
    """Each part that `dcgmi health -c -j` does not find healthy, such as `GPU 0, Memory system: Failure`.

    None when it is no such answer, as from a DCGM whose health watches were never switched on.
    """
    try:
        answer = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    body = _part(answer, "body")
    overall = _part(body, "Overall Health").get("value")
    if not isinstance(overall, str):
        return None
    said = tuple(_unhealthy(body))
    return said if said or overall.strip() == "Healthy" else (f"overall health: {overall.strip()[:80]}",)


def _unhealthy(body: Mapping[str, Any]) -> Iterator[str]:
    """What stands under body / GPU / 0 / Errors / Memory system, each level in its parent's `children`."""
    for group in body:
        for number, entity in _part(body, group, "children").items():
            for system, error in _part(entity, "children", "Errors", "children").items():
                value = _part(error).get("value")
                if isinstance(value, str) and value.strip() != "Healthy":
                    yield f"{group[:20]} {number[:20]}, {system[:40]}: {value.strip()[:80]}"


def _part(node: object, *path: str) -> Mapping[str, Any]:
    """The object at a path of names, an empty one when there is none."""
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}
