"""Replicas that are as slow as a real model on a busy GPU: each, or each request, may use a share of a processor.

The tiny models answer hundreds of requests a second, more than anybody here could ask. A process of its own looks
every few milliseconds at what each replica has used, stops it when that is more than its share and wakes it when it is
not. So the rate does not depend on what else the machine does, and an idle replica answers at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.fleet.replica import Replica

LOOK_SECONDS: Final = 0.005
FOLLOW_SECONDS: Final = 0.5
SAVED_SECONDS: Final = 0.02
"""How much unused processor time a replica may save up."""
SAVED_BY_IDLE_SECONDS: Final = 0.2
"""The same where its requests have shares: one prompt alone is read at once, and not slower than beside others."""


class Slowness:
    """Slow from the beginning to `close`. A replica that is killed meanwhile stays dead; one started anew is fast.

    `share`: of one processor, for each replica; with `idle_requests` for each request that is under way at it, and for
    so many more, which nobody has asked: then streams are slow, and many at once are no slower, as on a GPU that has
    room. `again` gives those that are slow from then on whenever they serve: ones that are started anew, and ones that
    come later. Linux only.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        share: float,
        *,
        idle_requests: int = 0,
        again: Callable[[], Sequence[Replica]] | None = None,
    ) -> None:
        if not 0 < share < 1:
            raise ValueError(f"{share:g} is no share of a processor")
        self._replicas = tuple(replicas)
        pids = [str(replica.pid) for replica in replicas if replica.pid is not None]
        self._child = Child.of_module("slowness", "sandbox.fleet.slowness", str(share), str(idle_requests), *pids)
        self._child.wait_until_ready()
        self._closed = threading.Event()
        self._again: Callable[[], Sequence[Replica]] = again or (lambda: ())
        self._follower = threading.Thread(target=self._follow, name="who is slow", daemon=True) if again else None
        if self._follower is not None:
            self._follower.start()

    def _follow(self) -> None:
        """Whoever serves now is slow."""
        told: list[int] = []
        while not self._closed.wait(FOLLOW_SECONDS):
            pids = [pid for replica in self._again() if (pid := replica.serving_pid) is not None]
            if pids != told:
                self._child.send(" ".join(map(str, pids)))
                told = pids

    def close(self) -> None:
        """Everybody runs freely again. May be called again."""
        self._closed.set()
        if self._follower is not None:
            self._follower.join()
        self._child.close()
        for replica in (*self._replicas, *self._again()):
            replica.resume()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Rationed:
    """One process and the processor time that it has left, in seconds.

    Its requests are its open files beside those that it always has: each has a connection of its own.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | 2  # the clock id of another process's processor time, as clock_getcpuclockid(3)
        self._used = time.clock_gettime(self._clock)
        self._left = 0.0
        self._files = self._open_files()

    def _open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self._pid}/fd").iterdir())

    @property
    def requests(self) -> int:
        """How many are under way. Raises OSError when it is gone."""
        now = self._open_files()
        self._files = min(self._files, now)
        return now - self._files

    def ration(self, earned_seconds: float, saved_seconds: float) -> None:
        """Stop or wake it by what it has used. Raises OSError when it is gone."""
        used = time.clock_gettime(self._clock)
        self._left = min(self._left + earned_seconds, saved_seconds) - (used - self._used)
        self._used = used
        os.kill(self._pid, signal.SIGCONT if self._left > 0 else signal.SIGSTOP)


def main(arguments: Sequence[str]) -> None:
    """Arguments: the share; 0, or the idle requests where it is of each request; the process ids.

    A line of standard input names others. Ends with the end of its input.
    """
    share, idle_requests = float(arguments[0]), int(arguments[1])
    rationed = {int(pid): _Rationed(int(pid)) for pid in arguments[2:]}
    print("ready", flush=True)
    before = time.monotonic()
    while True:
        if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            lines = os.read(sys.stdin.fileno(), 65_536).splitlines()
            if not lines:
                return
            rationed = _others(rationed, [int(pid) for pid in lines[-1].split()])
        now = time.monotonic()
        for each in rationed.values():
            with contextlib.suppress(OSError):  # it was killed: what it had is nobody's
                if idle_requests:
                    each.ration((idle_requests + each.requests) * share * (now - before), SAVED_BY_IDLE_SECONDS)
                else:
                    each.ration(share * (now - before), SAVED_SECONDS)
        before = now


def _others(rationed: dict[int, _Rationed], pids: Sequence[int]) -> dict[int, _Rationed]:
    """Those of these process ids that are there; who was rationed before keeps what it has left."""
    found = {pid: each for pid, each in rationed.items() if pid in pids}
    for pid in set(pids) - set(found):
        with contextlib.suppress(OSError):  # it ended between
            found[pid] = _Rationed(pid)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
