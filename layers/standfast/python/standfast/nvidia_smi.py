"""What nvidia-smi prints: the tables of `--query-gpu` and `--query-compute-apps`, read by column name, and its `-L`.

What nvidia-smi does not say is None, never zero: `[N/A]` means that the GPU has no such thing (MIG turns many fields
into it), while `[GPU is lost]`, `[Unknown Error]` and `ERR!` are errors. Fields:
`nvidia-smi --help-query-gpu` and `--help-query-compute-apps`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from standfast.xids import pci_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NOT_SAID: Final = frozenset(
    {
        "",
        "n/a",
        "[n/a]",
        "[not supported]",
        "[not found]",
        "[no data]",
        "[insufficient permissions]",
        "[requested functionality has been deprecated]",
    }
)
_LOST: Final = frozenset({"[gpu is lost]", "[gpu requires reset]"})
_VITAL: Final = ("uuid", "name", "memory.total", "memory.used")
"""What every GPU that works says of itself."""
_SLOWDOWNS: Final = (
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
    "sw_power_cap",
    "sync_boost",
)
_NAME_LENGTH: Final = 40
_APP_CELLS: Final = 3  # pid, name, memory
_LISTED: Final = re.compile(r"GPU \d{1,4}: .*\(UUID: (GPU-[0-9A-Za-z-]{1,64})\)")
_NO_HANDLE: Final = "device handle for"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One row. None is not said. Memory in MiB, power in W, utilisation in %, temperature in °C.

    `pci` is as `standfast.xids.pci_address` writes it. ECC counts are of uncorrected errors, since the driver was
    loaded and in the GPU's life. `slowdowns` names what slows the clocks now, `slowdown_microseconds` for how long each
    reason has since the driver was loaded. `pcie_width` is in lanes; it and `pcie_gen` may be lower while the GPU idles
    (`pstate` P8 and above). `errors` holds each field that could not be read with what stands there; `lost` says that
    the GPU itself does not answer.
    """

    index: int | None
    uuid: str
    name: str
    pci: str
    temperature: float | None = None
    power: float | None = None
    utilisation: float | None = None
    memory_used: float | None = None
    memory_total: float | None = None
    ecc_volatile: int | None = None
    ecc_aggregate: int | None = None
    retired_pages: int | None = None
    retirement_pending: bool | None = None
    remapped_rows: int | None = None
    remapping_pending: bool | None = None
    remapping_failed: bool | None = None
    slowdowns: tuple[str, ...] | None = None
    recovery_action: str | None = None
    mig: bool | None = None
    pstate: str | None = None
    pcie_gen: int | None = None
    pcie_gen_max: int | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    slowdown_microseconds: tuple[tuple[str, int], ...] | None = None
    fabric_state: str | None = None
    fabric_status: str | None = None
    ecc_mode: bool | None = None
    errors: tuple[str, ...] = ()
    lost: bool = False

    def __str__(self) -> str:
        number = "" if self.index is None else f" {self.index}"
        return f"GPU{number} ({self.pci or self.uuid or 'without an address'})"


@dataclass(frozen=True, slots=True)
class Table:
    """The GPUs in the table, the driver's version, and what nvidia-smi says beside it.

    `lost`: GPUs that it names as out of reach instead of giving a row, by address where it says one.
    """

    gpus: tuple[Gpu, ...]
    driver: str | None
    messages: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a GPU, in MiB. `pid` None: something holds it, and nvidia-smi may not say what.

    `gpu_uuid` is what nvidia-smi says: on a GPU that is divided (MIG) it may be the division's.
    """

    gpu_uuid: str
    pid: int | None
    name: str
    memory: float | None


def read_table(lines: Iterable[str]) -> Table:
    """The table in what nvidia-smi wrote, and the lines beside it. Without a header there are no GPUs."""
    header: tuple[str, ...] = ()
    gpus: list[Gpu] = []
    drivers: list[str] = []
    messages: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        cells = [cell.strip() for cell in line.split(",")]
        if not header and (names := _header(cells)):
            header = names
        elif header and len(cells) == len(header):
            row = _Row(dict(zip(header, cells, strict=True)))
            drivers += filter(None, [row.text("driver_version")])
            gpus.append(_gpu(row))
        else:
            messages.append(line)
    lost = [_named(message) for message in messages if _NO_HANDLE in message]
    return Table(tuple(gpus), drivers[0] if drivers else None, tuple(messages), tuple(dict.fromkeys(lost)))


def read_listing(lines: Iterable[str]) -> tuple[str, ...]:
    """The UUIDs of the GPUs in `nvidia-smi -L`, without their divisions (MIG)."""
    return tuple(found[1] for line in lines if (found := _LISTED.match(line)) is not None)


def read_apps(lines: Iterable[str]) -> tuple[GpuProcess, ...] | None:
    """The processes in `--query-compute-apps=gpu_uuid,pid,process_name,used_memory`. None without that header."""
    header, *rows = [line.strip() for line in lines if line.strip()] or [""]
    if not header.startswith("gpu_uuid, pid, process_name, "):
        return None
    found = []
    for line in rows:
        uuid, *cells = [cell.strip() for cell in line.split(",")]
        if len(cells) >= _APP_CELLS and uuid.startswith(("GPU-", "MIG-")):
            row = _Row({"pid": cells[0], "memory": cells[-1]})
            name = ", ".join(cells[1:-1])  # there may be commas in a name
            found.append(GpuProcess(uuid, row.count("pid"), name[:_NAME_LENGTH], row.number("memory")))
    return tuple(found)


def _header(cells: list[str]) -> tuple[str, ...]:
    """The columns' names without units, or nothing when this is no header."""
    names = tuple(cell.partition(" [")[0] for cell in cells)
    return names if {"index", "uuid"} <= set(names) else ()


class _Row:
    """One row by column, remembering what could not be read."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.cells = cells
        self.errors: list[str] = []

    def text(self, *names: str) -> str | None:
        """What the first of the columns that is there says, None when it says nothing or an error."""
        cell = next((self.cells[name] for name in names if name in self.cells), "")
        if cell.lower() in _NOT_SAID:
            return None
        if cell.startswith("[") or "ERR!" in cell:
            self.errors.append(f"{names[0]}: {cell.strip('[]')}")
            return None
        return cell

    def number(self, name: str) -> float | None:
        """A number, with or without its unit."""
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text.split()[0])
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        self.errors.append(f"{name}: {text}")
        return None

    def count(self, name: str) -> int | None:
        """A number of things."""
        value = self.number(name)
        return None if value is None else int(value)

    def sum(self, *names: str) -> int | None:
        """The sum of those that are said."""
        found = [value for name in names if (value := self.count(name)) is not None]
        return sum(found) if found else None

    def flag(self, name: str) -> bool | None:
        """Yes or no."""
        text = self.text(name)
        return None if text is None else text.lower() in ("yes", "enabled", "active")

    def slowdowns(self) -> tuple[str, ...] | None:
        """The reasons that are active; older drivers name the columns otherwise."""
        said = {
            name: self.text(f"clocks_event_reasons.{name}", f"clocks_throttle_reasons.{name}") for name in _SLOWDOWNS
        }
        if not any(said.values()):
            return None
        return tuple(name for name, text in said.items() if text == "Active")

    def slowdown_microseconds(self) -> tuple[tuple[str, int], ...] | None:
        """The counters that are said, by reason. There is none of hw_slowdown."""
        said = ((name, self.count(f"clocks_event_reasons_counters.{name}")) for name in _SLOWDOWNS)
        return tuple((name, value) for name, value in said if value is not None) or None


def _gpu(row: _Row) -> Gpu:
    lost = any(cell.lower() in _LOST for cell in row.cells.values())
    return Gpu(
        index=row.count("index"),
        uuid=row.text("uuid") or "",
        name=row.text("name") or "",
        pci=pci_address(row.text("pci.bus_id", "gpu_bus_id") or "") or "",
        temperature=row.number("temperature.gpu"),
        power=row.number("power.draw"),
        utilisation=row.number("utilization.gpu"),
        memory_used=row.number("memory.used"),
        memory_total=row.number("memory.total"),
        ecc_volatile=row.count("ecc.errors.uncorrected.volatile.total"),
        ecc_aggregate=row.count("ecc.errors.uncorrected.aggregate.total"),
        retired_pages=row.sum("retired_pages.single_bit_ecc.count", "retired_pages.double_bit.count"),
        retirement_pending=row.flag("retired_pages.pending"),
        remapped_rows=row.sum("remapped_rows.correctable", "remapped_rows.uncorrectable"),
        remapping_pending=row.flag("remapped_rows.pending"),
        remapping_failed=row.flag("remapped_rows.failure"),
        slowdowns=row.slowdowns(),
        recovery_action=row.text("gpu_recovery_action"),
        mig=row.flag("mig.mode.current"),
        pstate=row.text("pstate"),
        pcie_gen=row.count("pcie.link.gen.current"),
        pcie_gen_max=row.count("pcie.link.gen.max"),
        pcie_width=row.count("pcie.link.width.current"),
        pcie_width_max=row.count("pcie.link.width.max"),
        slowdown_microseconds=row.slowdown_microseconds(),
        fabric_state=row.text("fabric.state"),
        fabric_status=row.text("fabric.status"),
        ecc_mode=row.flag("ecc.mode.current"),
        errors=tuple(dict.fromkeys(row.errors)),
        lost=lost or any(error.startswith(f"{name}: ") for error in row.errors for name in _VITAL),
    )


def _named(message: str) -> str:
    """The GPU in "… the device handle for GPU0000:CB:00.0: Unknown Error" or "… device handle for index '6': …"."""
    rest = message.partition(_NO_HANDLE)[2].strip().removeprefix("GPU").strip().removeprefix("index ")
    number = rest.partition(":")[0].strip(" '")
    return pci_address(rest) or f"GPU {number}".rstrip()
