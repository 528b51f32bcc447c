"""Child processes of the sandbox: none outlives the process that started it, not even a stopped one.

A `Child` says on its standard output that it is ready, takes lines on its standard input and is reaped by `close()`.
All living children are closed when Python exits. `close_children_on_signals()` makes SIGTERM an orderly exit; SIGINT is
one already. If the parent is killed outright, the kernel (or a watcher) kills the children: see `sandbox.launcher`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

ROOT: Final = Path(__file__).resolve().parent.parent
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
READY: Final = "ready"

_living: set[Child] = set()


class ChildError(RuntimeError):
    """A child ended, or took too long, before it was ready. The message holds the end of its log."""


class Process(Protocol):
    """What is used of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Forks(Protocol):
    """What starts a child other than by a new interpreter: `sandbox.forking`."""

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, errors: BinaryIO | None
    ) -> Process:
        """Run what follows the interpreter in a command."""


class Child:
    """One process, started at once. Safe to use from several threads.

    `command`: the argument list. `environment`: the child's whole environment; default the parent's without AWS_*.
    `ready`: the first word of the line by which the child says that it is ready; None means that it is ready once
    started. `on_line` is called in a thread of its own with each later line of standard output, without its end.
    Standard error, and standard output that nobody asks for, are appended to `log` (default: discarded).
    `kernel_lifeline=False` uses the watcher of other systems on Linux too. `forks` runs what follows the interpreter in
    the command. `pass_descriptors`: what else of ours it has open.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
        log: Path | None = None,
        ready: str | None = READY,
        on_line: Callable[[str], None] | None = None,
        kernel_lifeline: bool = sys.platform == "linux",
        forks: Forks | None = None,
        pass_descriptors: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._ready_word = ready
        self._readiness: Future[str] = Future()
        self._log = log
        self._lifeline: int | None = None
        self._write_lock = threading.Lock()
        environment = inherited_environment() if environment is None else environment
        self._process: Process
        if forks is None:
            self._process = self._start(command, environment, directory, pass_descriptors, kernel=kernel_lifeline)
        else:
            with contextlib.ExitStack() as stack:
                errors = None if log is None else stack.enter_context(log.open("ab"))
                self._process = forks.start(command[1:], environment, directory, errors)
        _living.add(self)
        if ready is None:
            self._readiness.set_result("")
        self._reader = threading.Thread(target=self._read_lines, name=f"lines of {name}", daemon=True)
        self._reader.start()

    @classmethod
    def of_module(
        cls,
        name: str,
        module: str,
        *arguments: str,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Self:
        """A child that runs a module of this repository with this Python."""
        return cls(name, (sys.executable, "-m", module, *arguments), log=log, on_line=on_line)

    @property
    def pid(self) -> int:
        """The process id; of the command itself, for the launcher becomes it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process exists; a stopped one does."""
        return self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it said that it is ready, and has not ended."""
        return self.alive and self._readiness.done() and self._readiness.exception() is None

    @property
    def exit_status(self) -> int | None:
        """None while it is alive; negative: the number of the signal that ended it."""
        return self._process.poll()

    def wait_until_ready(self, timeout_seconds: float = 20.0) -> str:
        """What follows the readiness word on its line. Closes the child and raises ChildError when there is none."""
        try:
            return self._readiness.result(timeout_seconds)
        except (TimeoutError, EOFError) as error:
            status = self.exit_status
            self.close()
            what = f"not ready within {timeout_seconds:g} s" if status is None else f"ended with status {status}"
            raise ChildError(f"{self.name}: {what}. {self._end_of_log()}") from error

    def send(self, line: str) -> None:
        """Writes one line to the child's standard input. Raises BrokenPipeError when it is gone."""
        stream = self._process.stdin
        if stream is None:  # pragma: no cover - it is always a pipe
            raise BrokenPipeError(self.name)
        with self._write_lock:
            try:
                stream.write(line.encode() + b"\n")
                stream.flush()
            except ValueError as error:  # closed
                raise BrokenPipeError(self.name) from error

    def stop(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing. On Linux it has stopped, all threads, on return."""
        self._signal(signal.SIGSTOP)
        if sys.platform == "linux":
            # kill(2) only asks: threads on other processors run on for a moment. WNOWAIT: nothing is reaped here.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and waits until the process is reaped: its ports are free on return."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self, grace_seconds: float = 3.0) -> None:
        """SIGTERM (a stopped child is woken to take it), then SIGKILL when the grace is over. Waits for the end."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self, timeout_seconds: float | None = None) -> int:
        """The exit status. Raises TimeoutError when it has not ended in time."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} has not ended within {timeout_seconds} s") from error

    def close(self) -> None:
        """Kills what is alive, reaps it and frees pipes and threads. May be called again."""
        self.kill()
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)
        with self._write_lock, contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(2.0)
        _living.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        descriptors: Sequence[int],
        *,
        kernel: bool,
    ) -> subprocess.Popen[bytes]:
        reading, writing = (-1, -1) if kernel else os.pipe()
        arguments = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(reading), *command]
        with contextlib.ExitStack() as stack:
            errors = subprocess.DEVNULL if self._log is None else stack.enter_context(self._log.open("ab"))

            def popen() -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    arguments,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=directory,
                    env=dict(environment),
                    pass_fds=tuple(descriptors) if kernel else (reading, *descriptors),
                    start_new_session=True,  # a Ctrl-C at the terminal is for the parent alone: it closes us
                )

            process = _spawner.run(popen)
        if not kernel:
            os.close(reading)
            self._lifeline = writing
        return process

    def _signal(self, number: int) -> None:
        """Sends a signal to the child and to what it has started. Nothing happens when it has ended."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _read_lines(self) -> None:
        stream = self._process.stdout
        if stream is None:  # pragma: no cover - it is always a pipe
            return
        with stream:
            for raw in stream:
                self._take_line(raw.decode(errors="replace").rstrip("\r\n"))
        if not self._readiness.done():
            self._process.wait()
            self._readiness.set_exception(EOFError(self.name))

    def _take_line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not self._readiness.done() and word == self._ready_word:
            self._readiness.set_result(rest)
        elif self._on_line is not None:
            self._on_line(line)
        elif self._log is not None:
            with self._log.open("a") as log:
                log.write(line + "\n")

    def _end_of_log(self) -> str:
        if self._log is None or not self._log.exists():
            return "It has no log."
        return f"The end of {self._log}: {self._log.read_text(errors='replace')[-1000:]}"


class _Spawner:
    """Starts all children from one thread that lives as long as the process.

    PR_SET_PDEATHSIG fires when the *thread* that started a child ends: a child started from a pool's thread would die
    with the pool.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._work = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, popen: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="spawner", daemon=True)
                self._thread.start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._work.put((popen, answer))
        return answer.result()

    def _loop(self) -> None:
        while True:
            popen, answer = self._work.get()
            try:
                answer.set_result(popen())
            except (OSError, ValueError) as error:
                answer.set_exception(error)


_spawner = _Spawner()


def inherited_environment() -> dict[str, str]:
    """This process's environment without AWS_*: nothing that it starts can reach a real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def close_all() -> None:
    """Closes every living child: first all are killed, then all are reaped."""
    children = tuple(_living)
    for child in children:
        child._signal(signal.SIGKILL)  # noqa: SLF001 - the registry is part of this module
    for child in children:
        child.close()


def living() -> tuple[Child, ...]:
    """The children that are not closed yet."""
    return tuple(_living)


def close_children_on_signals() -> None:
    """Makes SIGINT and SIGTERM end this process in order, children first. Call it from the main thread.

    SIGINT raises KeyboardInterrupt, also where a shell started us with SIGINT ignored; SIGTERM raises SystemExit.
    """

    def terminated(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminated)


atexit.register(close_all)
