"""The network between Regions, their users and the health checkers: who reaches whom, and how far it is.

Whoever opens a connection is known by the address that it comes from: the functions of a Region have one of their own
(`worker_network/sitecustomize.py`), everybody else on this machine is the world outside: users and health checkers. A
connection that is cut is not refused, it is never answered, as on a network that drops what it is given.

A Region that is *lost* is gone with everything in it, its control plane too: nobody reaches it, nothing in it acts.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Final

from sandbox.aws import global_tables
from sandbox.aws.route53 import distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

WORLD: Final = "the world"
"""Users and health checkers: whoever is in no Region."""
ROUND_TRIPS: Final = 3
"""Of a new connection until its first answer: TCP, TLS 1.3, the request."""
_GLOBAL: Final = {"route53": "us-east-1", "iam": "us-east-1", "globalaccelerator": "us-west-2"}
"""Where the control plane of a service lives that is one for all Regions ("Global services", AWS Fault Isolation
Boundaries)."""


class Network:
    """Every Region reaches every other at the beginning. Safe to use from several threads.

    `names`: a file that holds the name server's address, once there is one.
    """

    def __init__(self, regions: Sequence[str], names: Path | None = None) -> None:
        self._regions = tuple(regions)
        self.names = names
        self._lock = threading.RLock()
        self._back = threading.Condition(self._lock)
        self._lost: set[str] = set()
        self._cut: set[tuple[str, str]] = set()
        self._isolated: set[str] = set()
        self._told: list[Callable[[], None]] = []
        self._closed = False
        self.addresses: Mapping[str, str] = {
            region: f"127.0.{100 + number}.1" for number, region in enumerate(self._regions)
        }
        """Region -> the address that connections of its functions come from."""
        self._names = {address: region for region, address in self.addresses.items()}

    def source(self, address: str) -> str:
        """The Region that an address is in, or the world."""
        return self._names.get(address, WORLD)

    def attachment(self, region: str) -> dict[str, str]:
        """What `worker_network/sitecustomize.py` is told in the process of a function."""
        address = self.addresses.get(region)
        return {"SANDBOX_SOURCE": address, "SANDBOX_NAMES": str(self.names or "")} if address else {}

    def reaches(self, source: str, target: str) -> bool:
        """Whether a connection from here gets there. Both are Regions, or the world."""
        with self._lock:
            return not self._lost & {source, target} and (source, target) not in self._cut

    def is_lost(self, region: str) -> bool:
        """Whether this Region is gone."""
        with self._lock:
            return region in self._lost

    def lose(self, region: str) -> None:
        """It is gone, with everything in it."""
        with self._changed():
            self._lost.add(region)

    def bring_back(self, region: str) -> None:
        """It is there again, and has caught up."""
        with self._changed():
            self._lost.discard(region)

    def cut(self, *pairs: tuple[str, str]) -> None:
        """No connection that the first of a pair opens reaches the second."""
        with self._changed():
            self._cut.update(pairs)

    def part(self, one: str, other: str) -> None:
        """Neither of two reaches the other."""
        self.cut((one, other), (other, one))

    def hide(self, region: str) -> None:
        """It reaches everybody, and nobody reaches it."""
        self.cut(*((other, region) for other in (*self._regions, WORLD) if other != region))

    def mend(self) -> None:
        """All that was cut is whole again. What is lost stays so."""
        with self._changed():
            self._cut.clear()

    def round_trip(self, source: str, target: str) -> float:
        """Seconds there and back; users are told theirs when they ask for a name."""
        return 0.0 if WORLD in (source, target) else distance(source, target) / 1000

    def on_change(self, told: Callable[[], None]) -> None:
        """Call this after each change."""
        self._told.append(told)

    def wait_while_lost(self, region: str) -> None:
        """Until it is there again, or the sandbox ends."""
        with self._back:
            while region in self._lost and not self._closed:
                self._back.wait()

    def close(self) -> None:
        """Nobody waits any more. May be called again."""
        with self._back:
            self._closed = True
            self._back.notify_all()

    @contextmanager
    def _changed(self) -> Iterator[None]:
        with self._lock:
            yield
            self._isolate()
            self._back.notify_all()
        for told in tuple(self._told):
            told()

    def _isolate(self) -> None:
        """Of a global table a Region is cut off that can speak with no other, there and back."""
        linked = {one for one, other in permutations(self._regions, 2) if self._speak(one, other)}
        alone = set(self._regions) - linked if len(self._regions) > 1 else set()
        for region in alone - self._isolated:
            global_tables.isolate(region)
        for region in self._isolated - alone:
            global_tables.rejoin(region)
        self._isolated = alone

    def _speak(self, one: str, other: str) -> bool:
        return self.reaches(one, other) and self.reaches(other, one)


def home(service: str, region: str) -> str:
    """The Region that answers a call, by the service and the Region that it was signed for."""
    return _GLOBAL.get(service, region)
