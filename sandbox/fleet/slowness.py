"""Replicas that are as slow as a real model on a busy GPU: each may compute only for a share of the time.

The tiny models answer hundreds of requests a second, more than anybody here could ask. A process of its own stops and
wakes them in turns, a few milliseconds each, so that a machine's speed and its other work do not decide it.
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

PERIOD_SECONDS: Final = 0.1


class Slowness:
    """Slow from the beginning to `close`. A replica that is killed meanwhile stays dead; one started anew is fast.

    `share`: of the time, for each replica. All shares together must leave room in the period.
    """

    def __init__(self, replicas: Sequence[Replica], share: float) -> None:
        if not 0 < share * len(replicas) < 1:
            raise ValueError(f"{len(replicas)} replicas cannot have {share:g} of the time each")
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


def main(arguments: Sequence[str]) -> None:
    """Arguments: the share of each, and the process ids. Goes on until standard input is closed."""
    share, pids = float(arguments[0]), [int(pid) for pid in arguments[1:]]
    print("ready", flush=True)
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        for pid in pids:
            _signal(pid, signal.SIGCONT)
            time.sleep(share * PERIOD_SECONDS)
            _signal(pid, signal.SIGSTOP)
        due = max(due + PERIOD_SECONDS, time.monotonic())


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(sys.argv[1:])
