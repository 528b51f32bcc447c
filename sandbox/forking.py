"""Processes that begin with their libraries imported: forks of one server a `ForkServer`.

An import of boto3 and of what a handler uses beside it takes a third of a second of a processor; the sandbox starts a
hundred functions. `sandbox.fork_server` imports once what all of them import.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AVAILABLE: Final = sys.platform == "linux"
_SERVER: Final = Path(__file__).with_name("fork_server.py")
_MOST_BYTES: Final = 1 << 17
_START_SECONDS: Final = 20.0
_KILLED: Final = -9


class Fork:
    """A process that the server started, with what `subprocess.Popen` offers of one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stdin: BinaryIO | None = None
        self.stdout: BinaryIO | None = None
        self._status: int | None = None
        self._ended = threading.Event()

    def ended(self, status: int) -> None:
        """It is gone, and reaped."""
        self._status = status
        self._ended.set()

    def poll(self) -> int | None:
        """None while it is alive; negative: the number of the signal that ended it."""
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Its status. Raises subprocess.TimeoutExpired, as Popen does."""
        if not self._ended.wait(timeout) or self._status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._status


class ForkServer:
    """`python` runs the forks, `libraries` are imported before. Safe to use from several threads.

    All forks end when it is closed, or when this process ends. Raises ChildError when it does not start, OSError where
    something is asked of one that is closed.
    """

    def __init__(self, python: Path, libraries: Sequence[str], log: Path | None = None) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = Child(
                "fork server",
                [str(python), str(_SERVER), str(theirs.fileno()), *libraries],
                environment={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": ":UTC"},
                log=log,
                pass_descriptors=[theirs.fileno()],
            )
        self._lock = threading.Lock()
        self._started: queue.SimpleQueue[Fork | None] = queue.SimpleQueue()
        self._living: dict[int, Fork] = {}
        self._reader = threading.Thread(target=self._read, name="fork server", daemon=True)
        self._reader.start()

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, errors: BinaryIO | None
    ) -> Fork:
        """Run a module: `command` is what `python` would be given, "-m" and its name and its arguments.

        `errors` takes its standard error, default nothing does; it is the caller's to close.
        """
        if command[0] != "-m":
            raise ValueError(f"a fork runs modules, it cannot run {' '.join(command)}")
        module, *arguments = command[1:]
        self._server.wait_until_ready(_START_SECONDS)
        request = {
            "module": module,
            "arguments": arguments,
            "environment": dict(environment),
            "directory": str(directory),
        }
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            reading, stdin = os.pipe()
            theirs.callback(os.close, reading)
            writer = ours.enter_context(os.fdopen(stdin, "wb"))
            stdout, writing = os.pipe()
            theirs.callback(os.close, writing)
            reader = ours.enter_context(os.fdopen(stdout, "rb"))
            told = errors or theirs.enter_context(Path(os.devnull).open("ab"))
            fork = self._ask(json.dumps(request).encode(), [reading, writing, told.fileno()])
            fork.stdin, fork.stdout = writer, reader
            ours.pop_all()
        return fork

    def close(self) -> None:
        """End the server and its forks. May be called again."""
        self._server.close()
        self._reader.join(2.0)
        self._channel.close()

    def _ask(self, message: bytes, descriptors: Sequence[int]) -> Fork:
        with self._lock:
            socket.send_fds(self._channel, [message], descriptors)
            fork = self._started.get()
        if fork is None:
            raise BrokenPipeError("the fork server has ended")
        return fork

    def _read(self) -> None:
        while message := self._received():
            told: dict[str, Any] = json.loads(message)
            if (pid := told.get("started")) is not None:
                self._living[pid] = fork = Fork(pid)
                self._started.put(fork)
            else:
                self._living.pop(told["ended"]).ended(told["status"])
        for fork in self._living.values():  # the kernel ends them with their server
            fork.ended(_KILLED)
        self._started.put(None)

    def _received(self) -> bytes:
        try:
            return self._channel.recv(_MOST_BYTES)
        except OSError:
            return b""
