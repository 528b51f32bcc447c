"""The node report: what documents/node_report.yaml found on one node. `faults` says what is wrong with it.

The text is sections, each with the exit status of its step, between a first and a last line:

    === standfast-node-report 1
    === boot
    7c1f…
    === boot exit 0
    === end

Missing evidence is not bad evidence (law 3): a step that failed is a problem that is said, and what it would have told
is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from standfast.errors import UnreadableReportError
from standfast.nvidia_smi import Gpu, read_table
from standfast.xids import Xid, read_kernel_log

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_LINE: Final = "=== standfast-node-report 1"
LAST_LINE: Final = "=== end"
_OPENS: Final = re.compile(r"=== ([a-z]+)$")
_CLOSES: Final = re.compile(r"=== ([a-z]+) exit (\d{1,3})$")
TIMED_OUT: Final = frozenset({124, 137})
"""Exits of timeout(1): after TERM, after KILL."""
NO_DEVICE, NO_DRIVER, BAD_INFOROM, LOST = 6, 9, 14, 15
"""Exits of nvidia-smi (its manual page, RETURN VALUE)."""
_WHAT: Final = {
    "lock": "the lock of the report",
    "clock": "the node's clock",
    "boot": "the boot id",
    "gpus": "nvidia-smi",
    "kernel": "the kernel log",
}
_EXITS: Final = {
    ("lock", 1): "another report was still running",
    ("gpus", NO_DEVICE): "nvidia-smi finds no GPU",
    ("gpus", NO_DRIVER): "the NVIDIA driver is not loaded",
    ("gpus", BAD_INFOROM): "the InfoROM of a GPU is corrupted",
    ("gpus", LOST): "nvidia-smi says that a GPU has fallen off the bus",
}


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node said of itself. `taken_at`: when it was asked for, by our clock; `clock`: by the node's own.

    `steps` is each step's exit status. `problems` are sentences: what could not be read, and what nvidia-smi says
    beside its table. `lost` names GPUs that do not answer and have no row; `xids` and `lost` are of this boot.
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


def parse_report(instance_id: str, text: str, taken_at: float) -> NodeReport:
    """The report in a node's answer. Raises UnreadableReportError when it is cut off or no report, with the reason."""
    sections, steps = _sections(instance_id, text)
    table = read_table(sections.get("gpus", ()))
    kernel = read_kernel_log(sections.get("kernel", ()))
    problems = [_problem(step, status) for step, status in steps.items() if status]
    return NodeReport(
        instance_id=instance_id,
        taken_at=taken_at,
        boot_id=_first_line(sections, steps, "boot"),
        driver=table.driver,
        gpus=table.gpus,
        xids=kernel.xids,
        steps=steps,
        problems=(*problems, *(f"nvidia-smi: {message}" for message in table.messages)),
        lost=tuple(dict.fromkeys((*table.lost, *kernel.lost))),
        clock=_seconds(_first_line(sections, steps, "clock")),
    )


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


def _first_line(sections: Mapping[str, list[str]], steps: Mapping[str, int], step: str) -> str | None:
    lines = [line for line in sections.get(step, ()) if line.strip()]
    return lines[0].strip() if lines and steps.get(step) == 0 else None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,12}(\.\d+)?", text) else None


def _problem(step: str, status: int) -> str:
    if (step, status) in _EXITS:
        return _EXITS[step, status]
    what = _WHAT.get(step, step)
    if status in TIMED_OUT:
        return f"{what} did not answer in time"
    return f"{what} could not be read (exit {status})"
