"""Replicas that are as slow as a real model on a busy GPU: each may use only a share of a processor.

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
import time
from typing import TYPE_CHECKING, Final, Self

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.replica import Replica

LOOK_SECONDS: Final = 0.005
SAVED_SECONDS: Final = 0.02
"""How much unused processor time a replica may save up."""


class Slowness:
    """Slow from the beginning to `close`. A replica that is killed meanwhile stays dead; one started anew is fast.

    `share`: of one processor, for each replica. Linux only.
    """

    def __init__(self, replicas: Sequence[Replica], share: float) -> None:
        if not 0 < share < 1:
            raise ValueError(f"{share:g} is no share of a processor")
        self._replicas = tuple(replicas)
        pids = [str(replica.pid) for replica in replicas if replica.pid is not None]
        self._child = Child.of_module("slowness", "sandbox.fleet.slowness", str(share), *pids)
        self._child.wait_until_ready()

    def close(self) -> None:
        """Everybody runs freely again. May be called again."""
        self._child.close()
        for replica in self._replicas:
            replica.resume()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Rationed:
    """One process and the processor time that it has left, in seconds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | 2  # the clock id of another process's processor time, as clock_getcpuclockid(3)
        self._used = time.clock_gettime(self._clock)
        self._left = 0.0

    def ration(self, earned_seconds: float) -> None:
        """Stop or wake it by what it has used. Raises OSError when it is gone."""
        used = time.clock_gettime(self._clock)
        self._left = min(self._left + earned_seconds, SAVED_SECONDS) - (used - self._used)
        self._used = used
        os.kill(self._pid, signal.SIGCONT if self._left > 0 else signal.SIGSTOP)


def main(arguments: Sequence[str]) -> None:
    """Arguments: the share of each, and the process ids. Goes on until standard input is closed."""
    share, rationed = float(arguments[0]), [_Rationed(int(pid)) for pid in arguments[1:]]
    print("ready", flush=True)
    before = time.monotonic()
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        now = time.monotonic()
        for each in rationed:
            with contextlib.suppress(OSError):  # it was killed: what it had is nobody's
                each.ration(share * (now - before))
        before = now


if __name__ == "__main__":
    main(sys.argv[1:])
