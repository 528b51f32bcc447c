"""Runs a command so that it dies when the process that started it dies, even while it is stopped.

Run as a file, by a Python without site packages, so that it costs some 15 ms:

    python -I -S launcher.py PARENT_PID LIFELINE_FD COMMAND...

`PARENT_PID` is the process to outlive by nothing. `LIFELINE_FD` is the reading end of a pipe that only the parent
holds open for writing, or -1.

- On Linux (`LIFELINE_FD` -1) the kernel is asked for SIGKILL at the parent's death: prctl(2), PR_SET_PDEATHSIG. The
  wish survives execve(2). It is bound to the parent's *thread*, so the parent must start children from a thread that
  lives as long as it does (`sandbox.processes` does).
- Elsewhere a second process waits for the end of the pipe and then sends SIGKILL. A stopped process could not read
  the pipe itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def ask_kernel_for_death_signal() -> None:
    """Has Linux send this process SIGKILL when its parent dies. Raises OSError where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def watch_lifeline(lifeline: int) -> None:
    """Forks a watcher that kills this process at the end of the pipe. Returns in the process to be watched."""
    watched = os.getpid()
    if os.fork() != 0:
        os.close(lifeline)
        return
    os.setsid()  # a signal to the watched process's group is not meant for its watcher
    for stream in (0, 1, 2):
        os.close(stream)  # else whoever reads the watched process's output would wait for the watcher too
    while os.read(lifeline, 1):
        pass
    if os.getppid() == watched:  # else it has ended by itself, and its id may belong to another process
        os.kill(watched, signal.SIGKILL)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Ties this process to its parent and becomes the command."""
    parent, lifeline, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if lifeline >= 0:
        watch_lifeline(lifeline)
    else:
        ask_kernel_for_death_signal()
    if os.getppid() != parent:  # it died before the wish was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - an argument list, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
