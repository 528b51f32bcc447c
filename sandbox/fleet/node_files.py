"""The files of which a node's state is made, with what stands in them while nothing is wrong.

The stand-in tools (node_tools) read them: a script that changes one changes what the next one finds.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NO_SUCH_THING: Final = "[N/A]"
LOST: Final = "[GPU is lost]"
OLDER_DRIVER: Final = "470.256.02"
NEWER_DRIVER: Final = "580.95.05"
CUDA_UNKNOWN, CUDA_DRIVER_MISMATCH = 999, 803
"""CUresult: CUDA_ERROR_UNKNOWN, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH."""
_COUNTED: Final = (
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
    "sw_power_cap",
    "sync_boost",
)
_SLOWDOWNS: Final = ("hw_slowdown", *_COUNTED)
ENGINE_PID: Final = 4700
"""Of the first engine; each new one has others."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The GPUs of an instance type: how many, of which name, with how much memory in MiB each; and NVSwitches."""

    count: int = 1
    name: str = "NVIDIA L4"
    memory: int = 23034
    switches: int = 0


class NodeFiles:
    """The files of a node in `state`, as they are while nothing is wrong. An engine serves on every GPU."""

    def __init__(self, state: Path, hardware: Hardware, driver: str) -> None:
        self._hardware = hardware
        self._driver = driver
        self._state = state
        self._pids = ENGINE_PID
        (state / "proc").mkdir(parents=True, exist_ok=True)
        self._uuids = [f"GPU-{uuid.uuid4()}" for _ in range(hardware.count)]

    # What is found

    def boot_id(self) -> str:
        """The boot id of now."""
        return (self._state / "boot_id").read_text().strip()

    def pci(self, index: int) -> str:
        """The address of a GPU, as the kernel writes it."""
        return f"0000:{0x31 + index:02x}:00"

    def uuid(self, index: int) -> str:
        """The name of a GPU that outlives reboots."""
        return self._uuids[index]

    def engine_pid(self, index: int) -> int:
        """The process of the engine on a GPU."""
        return self._pids + index

    def look_well(self) -> None:
        """Everything but the kernel's log as on a node without a fault."""
        for name in ("nvidia-smi-hangs", "nvidia-smi-fails", "cuda-hangs", "dcgm"):
            (self._state / name).unlink(missing_ok=True)
        gpus = range(self._hardware.count)
        used = self._hardware.memory * 9 // 10
        self._write_gpus([self._healthy(index) for index in gpus])
        self._write_lines(
            "listed", [f"GPU {index}: {self._hardware.name} (UUID: {self._uuids[index]})" for index in gpus]
        )
        apps = [f"{self._uuids[index]}, {self.engine_pid(index)}, VLLM::Worker_TP{index}, {used} MiB" for index in gpus]
        self._write_lines("apps", apps)
        self._write_lines("pci", [*self._bus_of_gpus(), *switches_on_bus(self._hardware.switches)])
        installed = ["LoadState=loaded", "ActiveState=active"]
        missing = ["LoadState=not-found", "ActiveState=inactive"]
        self._write_lines("fabric-manager", installed if self._hardware.switches else missing)
        engines = [process("S", self.engine_pid(index), "ep_poll", f"VLLM::Worker_TP{index}"[:15]) for index in gpus]
        self._write_lines("processes", [process("S", 1, "ep_poll", "systemd"), *engines])
        self._write_lines("cuda", ["0"])
        loaded = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {self._driver}  Tue Sep 23 10:00:00 UTC 2025"
        self._write_lines("proc/version", [loaded])

    def _healthy(self, index: int) -> dict[str, str]:
        row = {
            "index": str(index),
            "uuid": self._uuids[index] if self._uuids else "",
            "name": self._hardware.name,
            "pci.bus_id": f"0000{self.pci(index)}.0".upper(),
            "driver_version": self._driver,
            "temperature.gpu": "41",
            "utilization.gpu [%]": "0 %",
            "memory.used [MiB]": f"{self._hardware.memory * 9 // 10} MiB",
            "memory.total [MiB]": f"{self._hardware.memory} MiB",
            "power.draw [W]": "33.15 W",
            "ecc.errors.uncorrected.volatile.total": "0",
            "ecc.errors.uncorrected.aggregate.total": "0",
            "retired_pages.single_bit_ecc.count": NO_SUCH_THING,
            "retired_pages.double_bit.count": NO_SUCH_THING,
            "retired_pages.pending": NO_SUCH_THING,
            "remapped_rows.correctable": "0",
            "remapped_rows.uncorrectable": "0",
            "remapped_rows.pending": "No",
            "remapped_rows.failure": "No",
            "ecc.mode.current": "Enabled",
            "mig.mode.current": NO_SUCH_THING,
            "pstate": "P0",
            "pcie.link.gen.current": "4",
            "pcie.link.gen.max": "4",
            "pcie.link.width.current": "16",
            "pcie.link.width.max": "16",
        }
        row |= {f"clocks_throttle_reasons.{name}": "Not Active" for name in _SLOWDOWNS}
        if self._driver != OLDER_DRIVER:
            fabric = ("Completed", "Success") if self._hardware.switches else ("N/A", "N/A")
            row |= {f"clocks_event_reasons.{name}": "Not Active" for name in _SLOWDOWNS}
            row |= {f"clocks_event_reasons_counters.{name} [us]": "0 us" for name in _COUNTED}
            row |= dict(zip(("fabric.state", "fabric.status"), fabric, strict=True))
            row |= {"gpu_recovery_action": "None"}
        return row

    def _rows(self) -> list[dict[str, str]]:
        header, *rows = self._lines("gpus")
        return [dict(zip(header.split("|"), row.split("|"), strict=True)) for row in rows]

    def _write_gpus(self, rows: Sequence[Mapping[str, str]]) -> None:
        self._write_lines("gpus", ["|".join(self._healthy(0)), *("|".join(row.values()) for row in rows)])

    def _bus_of_gpus(self) -> list[str]:
        return [f"{self.pci(index)}.0 0302: 10de:27b8 (rev a1)" for index in range(self._hardware.count)]

    def _is_at(self, line: str, index: int) -> bool:
        return line.startswith(f"{self.pci(index)}.0 ")

    def _forget(self, name: str, index: int) -> None:
        """Without the lines of this GPU."""
        self._write_lines(name, [line for line in self._lines(name) if self._uuids[index] not in line])

    def _is_there(self, name: str) -> bool:
        return (self._state / name).exists()

    def _lines(self, name: str) -> list[str]:
        return (self._state / name).read_text(encoding="utf-8").splitlines()

    def _write_lines(self, name: str, lines: Sequence[str]) -> None:
        """Replaced at once: a tool reads the old ones or the new ones."""
        path = self._state / name
        new = path.with_name(f"{path.name}.new")
        new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        new.replace(path)


def process(state: str, pid: int, where: str, name: str) -> str:
    """A line of ps."""
    return f"{state} {pid:>7} {where:<32} {name}"


def switches_on_bus(count: int) -> list[str]:
    """The lines of lspci for so many NVSwitches."""
    return [f"0000:{0xC1 + index:02x}:00.0 0680: 10de:22a3 (rev a1)" for index in range(count)]
