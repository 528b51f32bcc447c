"""The node report: what documents/node_report.yaml found on one node. `faults` says what is wrong with it.

The text is sections, each with the exit status of its step, between a first and a last line:

    === standfast-node-report 1
    === boot
    7c1f…
    === boot exit 0
    === end

The steps are listed in documents/README.md; a report of an older document has fewer. Missing evidence is not bad
evidence (law 3): a step that failed is a problem that is said, and what it would have told is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from standfast.errors import UnreadableReportError
from standfast.node_facts import (
    CudaStart,
    PciDevices,
    StuckProcess,
    read_cuda,
    read_dcgm,
    read_driver,
    read_fabric_manager,
    read_pci,
    read_stuck,
)
from standfast.nvidia_smi import Gpu, GpuProcess, read_apps, read_listing, read_table
from standfast.xids import Xid, read_kernel_log

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS: Final = 100_000
"""A longer answer is no report: the document prints 22,000 at most, and Systems Manager keeps 24,000."""

FIRST_LINE: Final = "=== standfast-node-report 1"
LAST_LINE: Final = "=== end"
_CUT: Final = "(the rest is left out)"
"""What stands at the end of a section that was longer than the document lets it be."""
_OPENS: Final = re.compile(r"=== ([a-z]+)$")
_CLOSES: Final = re.compile(r"=== ([a-z]+) exit (\d{1,3})$")
TIMED_OUT: Final = frozenset({124, 137})
"""Exits of timeout(1): after TERM, after KILL."""
NOT_ASKED, NOT_THERE = 75, 127
"""Exits in the document: left out, since nvidia-smi hangs; the tool, or libcuda, is not installed (as timeout(1))."""
NO_DEVICE, NO_DRIVER, BAD_INFOROM, LOST, MISMATCH = 6, 9, 14, 15, 18
"""Exits of nvidia-smi: its manual page (RETURN VALUE), the last one is NVML_ERROR_LIB_RM_VERSION_MISMATCH."""
_WHAT: Final = {
    "lock": "the lock of the report",
    "clock": "the node's clock",
    "boot": "the boot id",
    "gpus": "nvidia-smi",
    "kernel": "the kernel log",
    "listed": "nvidia-smi -L",
    "pci": "lspci",
    "fabric": "the state of the fabric manager",
    "stuck": "the list of processes",
    "driver": "the version of the loaded driver",
    "apps": "nvidia-smi --query-compute-apps",
    "cuda": "the start of CUDA in a new process",
    "dcgm": "dcgmi health",
}
_EXITS: Final = {
    ("lock", 1): "another report was still running",
    ("gpus", NO_DEVICE): "nvidia-smi finds no GPU",
    ("gpus", NO_DRIVER): "the NVIDIA driver is not loaded",
    ("gpus", BAD_INFOROM): "the InfoROM of a GPU is corrupted",
    ("gpus", LOST): "nvidia-smi says that a GPU has fallen off the bus",
    ("gpus", MISMATCH): "the loaded NVIDIA driver and its library are of different versions",
    ("pci", NOT_THERE): "lspci is not installed: nothing is known of the PCI bus",
    ("fabric", NOT_THERE): "systemctl is not installed: nothing is known of the fabric manager",
}
_HARMLESS: Final = frozenset({("dcgm", NOT_THERE), ("cuda", NOT_THERE)})
"""Steps that a good node may lack."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node said of itself. `taken_at`: when it was asked for, by our clock; `clock`: by the node's own.

    `steps` is each step's exit status. `problems` are sentences: what could not be read, and what nvidia-smi says
    beside its table. `lost` names GPUs that do not answer and have no row; `xids` and `lost` are of this boot.

    None, and for `stuck` and `pci_silent` nothing, is what nobody knows. `listed`: the GPUs' UUIDs in nvidia-smi -L.
    `pci_gpus`: the addresses of the GPUs on the bus; `pci_silent`: those of them that are there in name only;
    `switches`: how many NVSwitches. `fabric_manager`: systemd's word, or "not installed". `apps`: who holds GPU memory.
    `dcgm`: a sentence for each part that DCGM does not find healthy.
    """

    instance_id: str
    taken_at: float
    boot_id: str | None
    driver: str | None
    gpus: tuple[Gpu, ...]
    xids: tuple[Xid, ...]
    steps: Mapping[str, int]
    problems: tuple[str, ...]
    lost: tuple[str, ...] = ()
    clock: float | None = None
    listed: tuple[str, ...] | None = None
    pci_gpus: tuple[str, ...] | None = None
    pci_silent: tuple[str, ...] = ()
    switches: int | None = None
    fabric_manager: str | None = None
    stuck: tuple[StuckProcess, ...] = ()
    loaded_driver: str | None = None
    apps: tuple[GpuProcess, ...] | None = None
    cuda: CudaStart | None = None
    dcgm: tuple[str, ...] | None = None


def parse_report(instance_id: str, text: str, taken_at: float) -> NodeReport:
    """The report in a node's answer.

    Raises UnreadableReportError, with the reason, when it is cut off, no report, or too long to be one.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableReportError(f"{instance_id} answered with {len(text)} characters: no report is so long")
    sections, steps = _sections(instance_id, text)
    found = _Found(sections, steps)
    table = read_table(sections.get("gpus", ()))
    kernel = read_kernel_log(sections.get("kernel", ()))
    pci = PciDevices() if (lines := found.whole("pci")) is None else read_pci(lines)
    problems = [problem(*step) for step in steps.items() if step[1] not in (0, NOT_ASKED) and step not in _HARMLESS]
    problems += [f"{_WHAT.get(step, step)} said more than the report holds" for step in found.cut if not steps[step]]
    return NodeReport(
        instance_id=instance_id,
        taken_at=taken_at,
        boot_id=found.first_line("boot"),
        driver=table.driver,
        # Of a table that is cut off nobody knows how many rows are missing.
        gpus=() if "gpus" in found.cut else table.gpus,
        xids=kernel.xids,
        steps=steps,
        problems=(*problems, *(f"nvidia-smi: {message}" for message in table.messages if message != _CUT)),
        lost=tuple(dict.fromkeys((*table.lost, *kernel.lost))),
        clock=_seconds(found.first_line("clock")),
        listed=found.listed(),
        pci_gpus=pci.gpus,
        pci_silent=pci.silent,
        switches=pci.switches,
        fabric_manager=None if (lines := found.whole("fabric")) is None else read_fabric_manager(lines),
        stuck=read_stuck(found.whole("stuck") or ()),
        loaded_driver=read_driver(found.first_line("driver") or ""),
        apps=None if (lines := found.whole("apps")) is None else read_apps(lines),
        cuda=found.cuda(),
        dcgm=None if (lines := found.whole("dcgm")) is None else read_dcgm(lines),
    )


class _Found:
    """The sections of a report with the exits of their steps."""

    def __init__(self, sections: Mapping[str, list[str]], steps: Mapping[str, int]) -> None:
        self.sections = sections
        self.steps = steps
        self.cut = [step for step, lines in sections.items() if _CUT in lines]

    def whole(self, step: str, *exits: int) -> list[str] | None:
        """What a step said that ended well, or with one of these exits. None when it did not, or said more."""
        return self.sections[step] if self.steps.get(step) in (0, *exits) and step not in self.cut else None

    def first_line(self, step: str) -> str | None:
        """The first line that is not empty."""
        return next((line.strip() for line in self.whole(step) or () if line.strip()), None)

    def listed(self) -> tuple[str, ...] | None:
        """No device is an answer only with its own exit; with another one, some of them may be missing."""
        listed = read_listing(self.whole("listed", NO_DEVICE, BAD_INFOROM) or ())
        return listed if listed or self.steps.get("listed") == NO_DEVICE else None

    def cuda(self) -> CudaStart | None:
        """A process that had to be ended has not started CUDA."""
        if self.steps.get("cuda") in TIMED_OUT:
            return CudaStart(None, timed_out=True)
        return read_cuda(self.first_line("cuda") or "")


def _sections(instance_id: str, text: str) -> tuple[dict[str, list[str]], dict[str, int]]:
    lines = [line.rstrip() for line in text.split("\n")]
    if FIRST_LINE not in lines:
        said = text.strip()[:80]
        raise UnreadableReportError(
            f"{instance_id} answered with no report: {said!r}" if said else f"{instance_id} answered with nothing"
        )
    sections: dict[str, list[str]] = {}
    steps: dict[str, int] = {}
    section = ""
    for line in lines[lines.index(FIRST_LINE) + 1 :]:
        if line == LAST_LINE and not section:
            return sections, steps
        closes, opens = _CLOSES.match(line), _OPENS.match(line)
        if closes and closes[1] == section:
            steps[section] = int(closes[2])
            section = ""
        elif opens and not section:
            section = opens[1]
            sections[section] = []
        elif section:
            sections[section].append(line)
    where = f"in section {section}" if section else f"after {len(steps)} sections"
    raise UnreadableReportError(f"the report of {instance_id} is cut off {where}: its last line is missing")


def _seconds(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,12}(\.\d+)?", text) else None


def problem(step: str, status: int) -> str:
    """What the exit of a step that did not end well says, in words."""
    if (step, status) in _EXITS:
        return _EXITS[step, status]
    what = _WHAT.get(step, step)
    if status in TIMED_OUT:
        return f"{what} did not answer in time"
    return f"{what} could not be read (exit {status})"
