"""A node's shell: it runs scripts with the system's bash; nvidia-smi, journalctl, lspci and more answer for the node.

The tools are in node_tools and read the node's state (`sandbox.fleet.node_state`); what they want of the machine itself
(its engine, its GPUs) they ask of the thread that runs the script. One shell is not for several threads at once; its
scripts run in any.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sandbox.fleet.node_files import LOST, NEWER_DRIVER, OLDER_DRIVER, Hardware
from sandbox.fleet.node_state import NodeState
from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LOST", "NEWER_DRIVER", "OLDER_DRIVER", "Hardware", "NodeShell", "Ran"]

TOOLS: Final = Path(__file__).with_name("node_tools")
BOOT_SECONDS: Final = 4.0
"""A real boot takes minutes. How long it takes is nothing that Standfast can change."""
_ASKED_SECONDS: Final = 0.05


class Engine(Protocol):
    """What a node serves with."""

    @property
    def alive(self) -> bool:
        """Whether the process exists."""
        ...

    def load(self, folder: Path) -> None:
        """Serve the model of this folder from the next start on."""
        ...

    def begin(self) -> None:
        """Start the process and do not wait."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended. `status` is None when its time was up."""

    status: int | None
    output: str
    errors: str


def _no_objects(_bucket: str, _key: str) -> bytes | None:
    return None


class NodeShell(NodeState):
    """The shell of one node, with its state under `directory`. Faults are put in by name and taken back by `clear`.

    `engine` is what the node serves with: a remedy restarts it. `objects` gives an object of S3 by bucket and key, None
    where there is none.
    """

    def __init__(
        self,
        directory: Path,
        hardware: Hardware | None = None,
        *,
        driver: str = NEWER_DRIVER,
        engine: Engine | None = None,
        objects: Callable[[str, str], bytes | None] = _no_objects,
    ) -> None:
        super().__init__(directory / "state", hardware or Hardware(), driver)
        self._directory = directory
        self._engine = engine
        self._objects = objects
        self._runtime = directory / "run"
        self._machine = directory / "machine"
        self._disk = directory / "disk"
        for folder in (self._runtime, self._machine, self._disk):
            folder.mkdir(parents=True, exist_ok=True)
        self._running: set[Child] = set()
        self._lock = threading.Lock()

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
                status = self._ended(child, timeout_seconds)
            finally:
                child.close()
                with self._lock:
                    self._running.discard(child)
            return Ran(status, "".join(f"{line}\n" for line in lines), errors.read_text(errors="replace"))

    def restart_machine(self) -> None:
        """Reboots: the engine ends, and is started by the new boot where one can start. Waits for the boot."""
        if self._engine is not None:
            self._engine.close()
        time.sleep(BOOT_SECONDS)
        self.reboot()
        self._start_engine()

    def _ended(self, child: Child, seconds: float) -> int | None:
        """The script's exit status, None when its time was up. Meanwhile the machine does what it is asked to."""
        ends_at = time.monotonic() + seconds
        while True:
            try:
                return child.wait(min(_ASKED_SECONDS, max(0.0, ends_at - time.monotonic())))
            except TimeoutError:
                for asked in sorted(self._machine.glob("*.ask")):
                    wanted = asked.read_text().strip()
                    asked.unlink()
                    asked.with_suffix(".new").write_text(f"{self._obey(wanted)}\n")
                    asked.with_suffix(".new").replace(asked.with_suffix(".done"))
                if time.monotonic() >= ends_at:
                    return None

    def _obey(self, wanted: str) -> int:
        """Does what a tool asks for. Answers the tool's exit status."""
        match wanted:
            case "start engine":
                if self._engine is None or not self._engine.alive:
                    self.restart_engine()
                    self._start_engine()
            case "stop engine" | "restart engine":
                if self._engine is not None:
                    self._engine.close()
                self.stop_engine()
                return self._obey("start engine") if wanted.startswith("restart") else 0
            case "end holders":
                self.stop_engine()
            case fetch if fetch.startswith("fetch "):
                _, bucket, key, file = fetch.split(" ")
                return self._fetch(bucket, key, Path(file))
            case "reset GPUs":
                return 0 if self.reset_gpus() else 15
            case other:
                raise ValueError(f"nobody on a node knows how to {other}")
        return 0

    def _start_engine(self) -> None:
        """An engine that cannot start is away, as with a unit that fails again and again."""
        if self.can_start_engine():
            if self._engine is not None:
                if (folder := self._model_folder()) is not None:
                    self._engine.load(folder)
                self._engine.begin()
        else:
            self.stop_engine()

    def _model_folder(self) -> Path | None:
        """What the engine's unit reads from model.env: the version that was loaded last, None before the first."""
        path = self._disk / "etc" / "model.env"
        if not path.exists():
            return None
        settings = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())
        return self._disk / "store" / settings["MODEL_PREFIX"]

    def _fetch(self, bucket: str, key: str, file: Path) -> int:
        """An object of S3 to the node's disk, as its AWS CLI does."""
        body = self._objects(bucket, key)
        if body is None:
            return 1
        file.write_bytes(body)
        return 0

    def close(self) -> None:
        """Kills the scripts under way. May be called again."""
        with self._lock:
            running = tuple(self._running)
        for child in running:
            child.kill()

    def _environment(self) -> dict[str, str]:
        """That of the agent: the tools first, then the system's."""
        return {
            "PATH": f"{TOOLS}:{os.defpath}",
            "HOME": str(self._directory),
            "NODE_STATE": str(self._state),
            "NVIDIA_PROC": str(self._state / "proc"),
            "XDG_RUNTIME_DIR": str(self._runtime),  # a node's own /run
            "MACHINE": str(self._machine),
            "STATE_DIRECTORY": str(self._disk),  # its own /var/lib/standfast, which outlives a boot
            "CONFIGURATION_DIRECTORY": str(self._disk / "etc"),  # its own /etc/standfast
            "NODE_PYTHON": sys.executable,
        }
