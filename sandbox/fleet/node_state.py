"""The state of a node and its faults: a folder of plain files that the stand-in tools read.

A script that changes the files changes what the next one finds. Each fault looks as it does on a real node, on every
side that shows it: a fault that shows on one side only is one that the others must not be needed for. Each names the
first rung of the ladder that mends it; a stubborn one (`ills.stubborn`) needs more.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from sandbox.fleet.ills import Ills, mended_by
from sandbox.fleet.node_files import (
    CUDA_DRIVER_MISMATCH,
    CUDA_UNKNOWN,
    Hardware,
    NodeFiles,
    process,
    switches_on_bus,
)
from standfast.xids import Action

if TYPE_CHECKING:
    from pathlib import Path


class NodeState(NodeFiles):
    """What a node is made of and how it does, as files in `state`."""

    def __init__(self, state: Path, hardware: Hardware, driver: str) -> None:
        super().__init__(state, hardware, driver)
        self.ills = Ills()
        self.reboot()

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

    @mended_by(Action.RESTART_ENGINE)
    def add_xid(self, code: int, text: str, *, gpu: int = 0) -> None:
        """An error of the driver, as it writes one; `{pid}` in the text is the engine's. It stays in the log."""
        said = text.replace("{pid}", str(self.engine_pid(gpu)))
        self.add_kernel_line(f"NVRM: Xid (PCI:{self.pci(gpu)}): {code}, {said}")

    @mended_by(Action.REBOOT)
    def lose_gpu(self, index: int, *, driver_says_what_to_do: bool = True) -> None:
        """The GPU falls off the bus: Xid 79, and nvidia-smi fails for all of them. Newer drivers add their verdict."""
        self.add_xid(79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", gpu=index)
        if driver_says_what_to_do:
            said = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
            self.add_xid(154, said, gpu=index)
        bus_id = f"{self.pci(index)}.0".upper()
        self.fail_nvidia_smi(15, f"Unable to determine the device handle for GPU{index}: {bus_id}: Unknown Error")

    @mended_by(Action.REBOOT)
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

    @mended_by(Action.REBOOT)
    def remove_gpu(self, index: int) -> None:
        """nvidia-smi does not know the GPU any more, and says nothing of it. It is still on the bus."""
        self._write_gpus([row for row in self._rows() if row["index"] != str(index)])
        self.unlist_gpu(index)
        self._forget("apps", index)

    @mended_by(Action.REBOOT)
    def unlist_gpu(self, index: int) -> None:
        """The GPU is missing from nvidia-smi -L alone."""
        self._forget("listed", index)

    @mended_by(Action.REBOOT)
    def set_field(self, index: int, field: str, value: str) -> None:
        """What nvidia-smi says of one GPU. Raises KeyError for a field that this driver does not know."""
        rows = self._rows()
        known = next((name for name in rows[index] if name.partition(" [")[0] == field), None)
        if known is None:
            raise KeyError(field)
        rows[index][known] = value
        self._write_gpus(rows)

    @mended_by(Action.REPLACE)
    def fail_remapping(self, index: int) -> None:
        """The GPU could not remap a row, and keeps that in mind. The Xid 64 of the time is no longer in the log."""
        self.set_field(index, "remapped_rows.failure", "Yes")

    @mended_by(Action.REBOOT)
    def narrow_link(self, index: int, width: int = 4) -> None:
        """The GPU's PCIe link has lost lanes, under load."""
        self.set_field(index, "pcie.link.width.current", str(width))

    @mended_by(Action.RESET_GPU)
    def hold_memory(self, index: int) -> None:
        """The GPU's memory is as full as before, and no process holds it."""
        self._forget("apps", index)

    @mended_by(Action.REBOOT)
    def hang_nvidia_smi(self) -> None:
        """nvidia-smi does not answer, until `clear`."""
        (self._state / "nvidia-smi-hangs").touch()

    @mended_by(Action.REBOOT)
    def fail_nvidia_smi(self, status: int, said: str) -> None:
        """nvidia-smi says this and ends with this status."""
        self._write_lines("nvidia-smi-fails", [str(status), said])

    @mended_by(Action.REBOOT)
    def mismatch_driver(self) -> None:
        """The driver's files were updated under the loaded driver: what runs goes on, nothing new can start."""
        said = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 590.48"
        self.fail_nvidia_smi(18, said)
        self.break_cuda(CUDA_DRIVER_MISMATCH)

    # Faults that only other sides see

    @mended_by(Action.REBOOT)
    def unplug_gpu(self, index: int) -> None:
        """The GPU is missing from the PCI bus alone."""
        self._write_lines("pci", [line for line in self._lines("pci") if not self._is_at(line, index)])

    @mended_by(Action.REBOOT)
    def break_cuda(self, status: int = CUDA_UNKNOWN) -> None:
        """A new process cannot start CUDA; those that run go on."""
        self._write_lines("cuda", [str(status)])

    @mended_by(Action.REBOOT)
    def hang_cuda(self) -> None:
        """A new process hangs when it starts CUDA, until `clear`."""
        (self._state / "cuda-hangs").touch()

    @mended_by(Action.REBOOT)
    def add_stuck_process(self, name: str = "nvidia-smi", where: str = "os_acquire_rwlock_write") -> None:
        """A process in state D, in this function of the kernel."""
        lines = self._lines("processes")
        self._write_lines("processes", [*lines, process("D", 9000 + len(lines), where, name)])

    @mended_by(Action.REBOOT)
    def fail_fabric_manager(self, switches: int = 4) -> None:
        """The fabric manager has failed. A node without NVSwitches gets some: no other node needs one."""
        self._write_lines("pci", [*self._bus_of_gpus(), *switches_on_bus(self._hardware.switches or switches)])
        self._write_lines("fabric-manager", ["LoadState=loaded", "ActiveState=failed"])

    @mended_by(Action.REBOOT)
    def set_dcgm(self, text: str) -> None:
        """DCGM is installed and says this of the node's health."""
        self._write_lines("dcgm", [text])

    # No fault

    def clear(self) -> None:
        """No fault is left, and none is remembered."""
        self.ills.forget()
        self._write_lines("kernel", [])
        self.look_well()

    # Remedies

    def restart_engine(self) -> None:
        """A new process in the place of the old one: what only that had is gone."""
        self._mend(Action.RESTART_ENGINE)

    def stop_engine(self) -> None:
        """No process holds GPU memory any more."""
        rows = [row | {"memory.used [MiB]": "1 MiB"} for row in self._rows()]
        held = {app.split(",")[0] for app in self._lines("apps")}
        freed = [row if kept["uuid"] in held else kept for row, kept in zip(rows, self._rows(), strict=True)]
        self._write_gpus(freed)
        self._write_lines("apps", [])
        self._write_lines("processes", [line for line in self._lines("processes") if "VLLM" not in line])

    def reset_gpus(self) -> bool:
        """As nvidia-smi --gpu-reset. False, and nothing changed, where the driver does not reach a GPU."""
        if self._is_there("nvidia-smi-hangs") or self._is_there("nvidia-smi-fails"):
            return False
        self._mend(Action.RESET_GPU)
        self.stop_engine()
        return True

    def reboot(self) -> None:
        """A new boot with an empty log: what a boot mends is gone. The GPUs keep their UUIDs."""
        (self._state / "boot_id").write_text(f"{uuid.uuid4()}\n")
        (self._state / "booted_at").write_text(f"{int(time.time())}\n")
        self._write_lines("kernel", [])
        self._mend(Action.REBOOT)

    def can_start_engine(self) -> bool:
        """Whether a new process finds every GPU and CUDA starts in it."""
        refused = self._is_there("cuda-hangs") or self._is_there("nvidia-smi-fails") or self._lines("cuda") != ["0"]
        return not refused and len(self._lines("listed")) == self._hardware.count

    def _mend(self, rung: Action) -> None:
        self.ills.mend(rung)
        self._pids += 100
        self.look_well()
        self.ills.show_again()


def _silent(line: str) -> str:
    """A device that is off the bus: its registers read as all ones."""
    return line.replace("(rev a1)", "(rev ff)")
