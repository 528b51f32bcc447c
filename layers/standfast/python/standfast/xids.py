"""What the NVIDIA driver writes into the kernel log, and what NVIDIA wants done about it.

Lines as in "Xid Messages" (docs.nvidia.com/deploy/xid-errors) and, for NVSwitches, in the Fabric Manager user guide's
appendix on SXid errors. The actions are NVIDIA's own, in catalogue/xids.json.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RECOVERY_ACTION_CHANGED = 154
_CATALOGUE = Path(__file__).parent / "catalogue" / "xids.json"

# journalctl -o short-unix: seconds since the epoch, the host, and who says it.
_STAMP = re.compile(r"^(\d{9,12}\.\d+) \S+ kernel: ?")
_ADDRESS = re.compile(
    r"(?<![0-9a-f])(?<![0-9a-f]:)(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-9a-f])?(?![0-9a-f:])",
    re.IGNORECASE,
)
_XID = re.compile(r"\b(S?)Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d{1,6})\b[ ,]*(.*)", re.IGNORECASE)
_GPU_NAMED = re.compile(r"\bGPU (?=[0-9a-f]{2,8}:)", re.IGNORECASE)
_OFF_THE_BUS = "fallen off the bus"
# What documents/reset_gpu.yaml writes once it has reset a GPU.
_RESET = re.compile(r"standfast: GPU PCI:(\S+) was reset: no Xid before this counts")
_PROCESS = re.compile(r"\bpid='?(\d{1,10})\b")
_RECOVERY_ACTION = re.compile(r"\bto 0x[0-9a-f]+ \(([^)]*)\)", re.IGNORECASE)


class Action(IntEnum):
    """What a fault calls for, the heavier the greater. From `RESET_GPU` on, the node must not serve as it is.

    `DRAIN`: it serves, and what is wrong would show at the next start of a process. Take it out without a restart; then
    it may be rebooted.
    """

    IGNORE = 0
    WATCH = 1
    RESTART_ENGINE = 2
    DRAIN = 3
    RESET_GPU = 4
    REBOOT = 5
    REPLACE = 6

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ").replace("gpu", "GPU")


@dataclass(frozen=True, slots=True)
class Xid:
    """One error that the driver reported. `at` is None where the log says no time of day.

    `pci` is the GPU's address as `pci_address` writes it. `switch` marks an SXid: `pci` is an NVSwitch then.
    """

    at: float | None
    pci: str
    code: int
    text: str
    switch: bool = False

    @property
    def pid(self) -> int | None:
        """The process that the line names, None where it names none."""
        found = _PROCESS.search(self.text)
        return int(found[1]) if found else None

    def __str__(self) -> str:
        said = f" ({self.text[:80].rstrip()})" if self.text else ""
        return f"{'SXid' if self.switch else 'Xid'} {self.code} on {self.pci}{said}"


@dataclass(frozen=True, slots=True)
class KernelLog:
    """`xids`: each once, in the order of their last mention. `lost`: GPUs off the bus that no Xid tells of."""

    xids: tuple[Xid, ...]
    lost: tuple[str, ...]


def pci_address(text: str) -> str | None:
    """The first PCI address in a text as domain:bus:device, in lower case: the kernel and nvidia-smi write it apart.

    `00000000:3B:00.0`, `0000:3b:00` and `3b:00.0` are all `0000:3b:00`. None when there is none.
    """
    found = _ADDRESS.search(text)
    if found is None:
        return None
    domain, bus, device = found.groups()
    return f"{(domain or '').lstrip('0').zfill(4)}:{bus}:{device}".lower()


def read_kernel_log(lines: Iterable[str]) -> KernelLog:
    """Every Xid, SXid and GPU off the bus in the lines. What is none of these is passed over.

    What stands before a reset of ours is over for that GPU: a driver that does not write Xid 154 never says so.
    """
    xids: dict[tuple[str, int, str], Xid] = {}
    lost: dict[str, None] = {}
    named = ""
    for line in lines:
        if (reset := _RESET.search(line)) is not None:
            address = pci_address(reset[1])
            xids = {key: xid for key, xid in xids.items() if xid.pci != address or xid.switch}
            lost.pop(str(address), None)
            continue
        if (xid := _xid(line)) is not None:
            key = (xid.pci, xid.code, xid.text)
            xids.pop(key, None)  # so that it stands where it was last mentioned
            xids[key] = xid
            continue
        # Without an Xid the GPU may stand two lines before "fallen off the bus".
        if _GPU_NAMED.search(line) and (address := pci_address(line)) is not None:
            named = address
        if _OFF_THE_BUS in line:
            lost[named or "a GPU"] = None
    return KernelLog(tuple(xids.values()), tuple(lost))


def _xid(line: str) -> Xid | None:
    found = _XID.search(line)
    if found is None or (address := pci_address(found[2])) is None:
        return None
    stamp = _STAMP.match(line)
    return Xid(float(stamp[1]) if stamp else None, address, int(found[3]), found[4].strip(), switch=bool(found[1]))


def standing(xids: Sequence[Xid]) -> tuple[Xid, ...]:
    """Those that still say something of their GPU: Xid 154 is the driver's own verdict and outranks all before it."""
    last: dict[str, list[Xid]] = {}
    for xid in xids:
        if xid.code == RECOVERY_ACTION_CHANGED and not xid.switch:
            last[xid.pci] = [xid]
        else:
            last.setdefault(xid.pci, []).append(xid)
    return tuple(xid for found in last.values() for xid in found)


def wanted(xid: Xid) -> Action:
    """What NVIDIA wants done about it. An Xid that the catalogue does not hold is watched."""
    if xid.switch:
        nonfatal = re.search(r"non-?fatal", xid.text, re.IGNORECASE) is not None
        return Action.RESET_GPU if "fatal" in xid.text.lower() and not nonfatal else Action.WATCH
    if xid.code == RECOVERY_ACTION_CHANGED:
        found = _RECOVERY_ACTION.search(xid.text)
        return Action.WATCH if found is None else recovery_wanted(found[1])
    known = entry(xid.code)
    return known.action if known else Action.WATCH


def recovery_wanted(action: str) -> Action:
    """The driver's recovery action (`nvmlDeviceGpuRecoveryAction_t`), as Xid 154 and nvidia-smi spell it."""
    said = action.lower()
    if "reboot" in said:
        return Action.REBOOT
    if "reset" in said:
        return Action.RESET_GPU
    return Action.IGNORE if said == "none" else Action.WATCH


@dataclass(frozen=True, slots=True)
class Entry:
    """One Xid in NVIDIA's catalogue: what it is, NVIDIA's action in words, and what it means for inference."""

    description: str
    meaning: str
    inference: str
    action: Action


def entry(code: int) -> Entry | None:
    """The catalogue's entry, None for a code that is not in use."""
    return _catalogue().get(code)


@cache
def _catalogue() -> Mapping[int, Entry]:
    document = json.loads(_CATALOGUE.read_text(encoding="utf-8"))
    found: dict[int, Entry] = {}
    for code, xid in document["xids"].items():
        known = document["actions"][xid["action"]]
        action = Action[xid.get("ours", known["action"]).upper()]
        found[int(code)] = Entry(xid["description"], known["meaning"], known["inference"], action)
    return found
