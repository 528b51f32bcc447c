"""The state of a node and its faults: a folder of plain files that the stand-in tools read.

A script that changes the files changes what the next one finds. Each fault looks as it does on a real node, on every
side that shows it: a fault that shows on one side only is one that the others must not be needed for.
"""

from __future__ import annotations

import time
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
_ENGINE_PID: Final = 4700


@dataclass(frozen=True, slots=True)
class Hardware:
    """The GPUs of an instance type: how many, of which name, with how much memory in MiB each; and NVSwitches."""

    count: int = 1
    name: str = "NVIDIA L4"
    memory: int = 23034
    switches: int = 0


class NodeState:
    """What a node is made of and how it does, as files in `state`. An engine serves on every GPU."""

    def __init__(self, state: Path, hardware: Hardware, driver: str) -> None:
        self._hardware = hardware
        self._driver = driver
        self._state = state
        (state / "proc").mkdir(parents=True, exist_ok=True)
        self._uuids = [f"GPU-{uuid.uuid4()}" for _ in range(hardware.count)]
        self.reboot()

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

    def gpus(self) -> list[dict[str, str]] | None:
        """What nvidia-smi says of each GPU, field -> value with its unit; None when it fails or does not answer."""
        if any((self._state / name).exists() for name in ("nvidia-smi-hangs", "nvidia-smi-fails")):
            return None
        return [{name.partition(" [")[0]: value for name, value in row.items()} for row in self._rows()]

    # Faults that the kernel tells of

    def add_kernel_line(self, text: str, *more: str, at: float | None = None) -> None:
        """A message of the kernel, now or at a time; `more` are its further lines."""
        lines = [f"{time.time() if at is None else at:.6f} {text}", *(f"+ {line}" for line in more)]
        with (self._state / "kernel").open("a", encoding="utf-8") as log:
            log.write("".join(f"{line}\n" for line in lines))

    def add_xid(self, code: int, text: str, *, gpu: int = 0) -> None:
        """An error of the driver, as it writes one."""
        self.add_kernel_line(f"NVRM: Xid (PCI:{self.pci(gpu)}): {code}, {text}")

    def lose_gpu(self, index: int) -> None:
        """The GPU falls off the bus: Xid 79 and the driver's verdict, and nvidia-smi fails for all of them."""
        self.add_xid(79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", gpu=index)
        said = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
        self.add_xid(154, said, gpu=index)
        bus_id = f"{self.pci(index)}.0".upper()
        self.fail_nvidia_smi(15, f"Unable to determine the device handle for GPU{index}: {bus_id}: Unknown Error")

    def lose_gpu_without_xid(self, index: int) -> None:
        """The GPU does not answer when the driver is loaded: a message of three lines, and all but it go on."""
        self.add_kernel_line(
            f"NVRM: The NVIDIA GPU {self.pci(index)}.0",
            "NVRM: (PCI ID: 10de:27b8) installed in this system has",
            "NVRM: fallen off the bus and is not responding to commands.",
        )
        self.remove_gpu(index)
        self._write_lines("pci", [_silent(line) if self._is_at(line, index) else line for line in self._lines("pci")])

    # Faults that nvidia-smi tells of

    def remove_gpu(self, index: int) -> None:
        """nvidia-smi does not know the GPU any more, and says nothing of it. It is still on the bus."""
        self._write_gpus([row for row in self._rows() if row["index"] != str(index)])
        self.unlist_gpu(index)
        self._forget("apps", index)

    def unlist_gpu(self, index: int) -> None:
        """The GPU is missing from nvidia-smi -L alone."""
        self._forget("listed", index)

    def set_field(self, index: int, field: str, value: str) -> None:
        """What nvidia-smi says of one GPU. Raises KeyError for a field that this driver does not know."""
        rows = self._rows()
        known = next((name for name in rows[index] if name.partition(" [")[0] == field), None)
        if known is None:
            raise KeyError(field)
        rows[index][known] = value
        self._write_gpus(rows)

    def fail_remapping(self, index: int) -> None:
        """The GPU could not remap a row, and keeps that in mind. The Xid 64 of the time is no longer in the log."""
        self.set_field(index, "remapped_rows.failure", "Yes")

    def narrow_link(self, index: int, width: int = 4) -> None:
        """The GPU's PCIe link has lost lanes, under load."""
        self.set_field(index, "pcie.link.width.current", str(width))

    def hold_memory(self, index: int) -> None:
        """The GPU's memory is as full as before, and no process holds it."""
        self._forget("apps", index)

    def hang_nvidia_smi(self) -> None:
        """nvidia-smi does not answer, until `clear`."""
        (self._state / "nvidia-smi-hangs").touch()

    def fail_nvidia_smi(self, status: int, said: str) -> None:
        """nvidia-smi says this and ends with this status."""
        self._write_lines("nvidia-smi-fails", [str(status), said])

    def mismatch_driver(self) -> None:
        """The driver's files were updated under the loaded driver: what runs goes on, nothing new can start."""
        said = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 590.48"
        self.fail_nvidia_smi(18, said)
        self.break_cuda(CUDA_DRIVER_MISMATCH)

    # Faults that only other sides see

    def unplug_gpu(self, index: int) -> None:
        """The GPU is missing from the PCI bus alone."""
        self._write_lines("pci", [line for line in self._lines("pci") if not self._is_at(line, index)])

    def break_cuda(self, status: int = CUDA_UNKNOWN) -> None:
        """A new process cannot start CUDA; those that run go on."""
        self._write_lines("cuda", [str(status)])

    def hang_cuda(self) -> None:
        """A new process hangs when it starts CUDA, until `clear`."""
        (self._state / "cuda-hangs").touch()

    def add_stuck_process(self, name: str = "nvidia-smi", where: str = "os_acquire_rwlock_write") -> None:
        """A process in state D, in this function of the kernel."""
        lines = self._lines("processes")
        self._write_lines("processes", [*lines, _process("D", 9000 + len(lines), where, name)])

    def fail_fabric_manager(self, switches: int = 4) -> None:
        """The fabric manager has failed. A node without NVSwitches gets some: no other node needs one."""
        self._write_lines("pci", [*self._bus_of_gpus(), *_switches(self._hardware.switches or switches)])
        self._write_lines("fabric-manager", ["LoadState=loaded", "ActiveState=failed"])

    def set_dcgm(self, text: str) -> None:
        """DCGM is installed and says this of the node's health."""
        self._write_lines("dcgm", [text])

    # No fault

    def clear(self) -> None:
        """No fault is left, and none is remembered."""
        for name in ("nvidia-smi-hangs", "nvidia-smi-fails", "cuda-hangs", "dcgm"):
            (self._state / name).unlink(missing_ok=True)
        gpus = range(self._hardware.count)
        used = self._hardware.memory * 9 // 10
        self._write_lines("kernel", [])
        self._write_gpus([self._healthy(index) for index in gpus])
        self._write_lines(
            "listed", [f"GPU {index}: {self._hardware.name} (UUID: {self._uuids[index]})" for index in gpus]
        )
        apps = [f"{self._uuids[index]}, {_ENGINE_PID + index}, VLLM::Worker_TP{index}, {used} MiB" for index in gpus]
        self._write_lines("apps", apps)
        self._write_lines("pci", [*self._bus_of_gpus(), *_switches(self._hardware.switches)])
        installed = ["LoadState=loaded", "ActiveState=active"]
        missing = ["LoadState=not-found", "ActiveState=inactive"]
        self._write_lines("fabric-manager", installed if self._hardware.switches else missing)
        engines = [_process("S", _ENGINE_PID + index, "ep_poll", f"VLLM::Worker_TP{index}"[:15]) for index in gpus]
        self._write_lines("processes", [_process("S", 1, "ep_poll", "systemd"), *engines])
        self._write_lines("cuda", ["0"])
        loaded = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {self._driver}  Tue Sep 23 10:00:00 UTC 2025"
        self._write_lines("proc/version", [loaded])

    def reboot(self) -> None:
        """A new boot: every fault is gone with its traces. The GPUs keep their UUIDs."""
        self.clear()
        (self._state / "boot_id").write_text(f"{uuid.uuid4()}\n")
        (self._state / "booted_at").write_text(f"{int(time.time())}\n")

    # The files

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

    def _lines(self, name: str) -> list[str]:
        return (self._state / name).read_text(encoding="utf-8").splitlines()

    def _write_lines(self, name: str, lines: Sequence[str]) -> None:
        """Replaced at once: a tool reads the old ones or the new ones."""
        path = self._state / name
        new = path.with_name(f"{path.name}.new")
        new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        new.replace(path)


def _process(state: str, pid: int, where: str, name: str) -> str:
    return f"{state} {pid:>7} {where:<32} {name}"


def _switches(count: int) -> list[str]:
    return [f"0000:{0xC1 + index:02x}:00.0 0680: 10de:22a3 (rev a1)" for index in range(count)]


def _silent(line: str) -> str:
    """A device that is off the bus: its registers read as all ones."""
    return line.replace("(rev a1)", "(rev ff)")
