"""A node's shell: it runs scripts with the system's bash; nvidia-smi, journalctl, dmesg and sysctl answer for the node.

The node's state is a folder of plain files that the tools in node_tools read, so that a script that changes the state
changes what the next one finds. One shell is not for several threads at once; its scripts run in any.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOOLS: Final = Path(__file__).with_name("node_tools")
NO_SUCH_THING: Final = "[N/A]"
LOST: Final = "[GPU is lost]"
OLDER_DRIVER: Final = "470.256.02"
NEWER_DRIVER: Final = "580.95.05"
_SLOWDOWNS: Final = (
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
    "sw_power_cap",
    "sync_boost",
)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The GPUs of an instance type: how many, of which name, with how much memory in MiB each."""

    count: int = 1
    name: str = "NVIDIA L4"
    memory: int = 23034


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended. `status` is None when its time was up."""

    status: int | None
    output: str
    errors: str


class NodeShell:
    """The shell of one node, with its state under `directory`. Faults are put in by name and taken back by `clear`."""

    def __init__(self, directory: Path, hardware: Hardware | None = None, *, driver: str = NEWER_DRIVER) -> None:
        self._hardware = hardware or Hardware()
        self._driver = driver
        self._directory = directory
        self._state = directory / "state"
        self._runtime = directory / "run"
        for folder in (self._state, self._runtime):
            folder.mkdir(parents=True, exist_ok=True)
        self._running: set[Child] = set()
        self._lock = threading.Lock()
        self._uuids = [f"GPU-{uuid.uuid4()}" for _ in range(self._hardware.count)]
        self.reboot()

    def run(self, script: str, timeout_seconds: float, environment: Mapping[str, str] | None = None) -> Ran:
        """Runs a script as the agent of Systems Manager does: a file of its own, by its first line's interpreter."""
        with tempfile.TemporaryDirectory(dir=self._directory) as folder:
            path, errors = Path(folder) / "_script.sh", Path(folder) / "stderr"
            path.write_text(script, encoding="utf-8")
            path.chmod(0o700)
            lines: list[str] = []
            child = Child(
                f"a script on {self._directory.name}", ("sh", "-c", str(path)),
                environment={**self._environment(), **(environment or {})}, directory=self._directory,
                ready=None, on_line=lines.append, log=errors,
            )  # fmt: skip
            with self._lock:
                self._running.add(child)
            try:
                status: int | None = child.wait(timeout_seconds)
            except TimeoutError:
                status = None
            finally:
                child.close()
                with self._lock:
                    self._running.discard(child)
            return Ran(status, "".join(f"{line}\n" for line in lines), errors.read_text(errors="replace"))

    def close(self) -> None:
        """Kills the scripts under way. May be called again."""
        with self._lock:
            running = tuple(self._running)
        for child in running:
            child.kill()

    # What is found

    def boot_id(self) -> str:
        """The boot id of now."""
        return (self._state / "boot_id").read_text().strip()

    def pci(self, index: int) -> str:
        """The address of a GPU, as the kernel writes it."""
        return f"0000:{0x31 + index:02x}:00"

    # Faults

    def add_kernel_line(self, text: str, *, at: float | None = None) -> None:
        """A line of the kernel, now or at a time."""
        with (self._state / "kernel").open("a", encoding="utf-8") as log:
            log.write(f"{time.time() if at is None else at:.6f} {text}\n")

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

    def remove_gpu(self, index: int) -> None:
        """The GPU is gone without a word."""
        self._write_gpus([row for row in self._rows() if row["index"] != str(index)])

    def set_field(self, index: int, field: str, value: str) -> None:
        """What nvidia-smi says of one GPU. Raises KeyError for a field that this driver does not know."""
        rows = self._rows()
        known = next(name for name in rows[index] if name.partition(" [")[0] == field)
        rows[index][known] = value
        self._write_gpus(rows)

    def hang_nvidia_smi(self) -> None:
        """nvidia-smi does not answer, until `clear`."""
        (self._state / "nvidia-smi-hangs").touch()

    def fail_nvidia_smi(self, status: int, said: str) -> None:
        """nvidia-smi says this and ends with this status."""
        (self._state / "nvidia-smi-fails").write_text(f"{status}\n{said}\n", encoding="utf-8")

    def clear(self) -> None:
        """No fault is left, and none is remembered."""
        for name in ("nvidia-smi-hangs", "nvidia-smi-fails"):
            (self._state / name).unlink(missing_ok=True)
        (self._state / "kernel").write_text("")
        self._write_gpus([self._healthy(index) for index in range(self._hardware.count)])

    def reboot(self) -> None:
        """A new boot: every fault is gone with its traces."""
        self.clear()
        (self._state / "boot_id").write_text(f"{uuid.uuid4()}\n")
        (self._state / "booted_at").write_text(f"{int(time.time())}\n")

    def _environment(self) -> dict[str, str]:
        """That of the agent: the tools first, then the system's."""
        return {
            "PATH": f"{TOOLS}:{os.defpath}",
            "HOME": str(self._directory),
            "NODE_STATE": str(self._state),
            "XDG_RUNTIME_DIR": str(self._runtime),  # a node's own /run
        }

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
        }
        row |= {f"clocks_throttle_reasons.{name}": "Not Active" for name in _SLOWDOWNS}
        if self._driver != OLDER_DRIVER:
            row |= {f"clocks_event_reasons.{name}": "Not Active" for name in _SLOWDOWNS}
            row |= {"mig.mode.current": NO_SUCH_THING, "gpu_recovery_action": "None"}
        return row

    def _rows(self) -> list[dict[str, str]]:
        header, *rows = (self._state / "gpus").read_text().splitlines()
        return [dict(zip(header.split("|"), row.split("|"), strict=True)) for row in rows]

    def _write_gpus(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Replaced at once: a tool reads the old table or the new one."""
        new = self._state / "gpus.new"
        lines = ["|".join(self._healthy(0)), *("|".join(row.values()) for row in rows)]
        new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        new.replace(self._state / "gpus")
