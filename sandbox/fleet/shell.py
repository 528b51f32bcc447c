"""A node's shell: it runs scripts with the system's bash; nvidia-smi, journalctl, lspci and more answer for the node.

The tools are in node_tools and read the node's state (`sandbox.fleet.node_state`). One shell is not for several
threads at once; its scripts run in any.
"""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.fleet.node_state import LOST, NEWER_DRIVER, OLDER_DRIVER, Hardware, NodeState
from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOST", "NEWER_DRIVER", "OLDER_DRIVER", "Hardware", "NodeShell", "Ran"]

TOOLS: Final = Path(__file__).with_name("node_tools")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended. `status` is None when its time was up."""

    status: int | None
    output: str
    errors: str


class NodeShell(NodeState):
    """The shell of one node, with its state under `directory`. Faults are put in by name and taken back by `clear`."""

    def __init__(self, directory: Path, hardware: Hardware | None = None, *, driver: str = NEWER_DRIVER) -> None:
        super().__init__(directory / "state", hardware or Hardware(), driver)
        self._directory = directory
        self._runtime = directory / "run"
        self._runtime.mkdir(exist_ok=True)
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

    def _environment(self) -> dict[str, str]:
        """That of the agent: the tools first, then the system's."""
        return {
            "PATH": f"{TOOLS}:{os.defpath}",
            "HOME": str(self._directory),
            "NODE_STATE": str(self._state),
            "NVIDIA_PROC": str(self._state / "proc"),
            "XDG_RUNTIME_DIR": str(self._runtime),  # a node's own /run
        }
