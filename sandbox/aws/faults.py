"""Faults in AWS's answers to a role: what a function sees when AWS is not well.

| kind | what the client sees |
|---|---|
| throttle | the service's own throttling error; nothing happened |
| time-out | no answer for longer than the client waits, then the connection ends; nothing happened |
| access denied | the error of a role that lacks the permission; nothing happened |
| response lost | the call takes effect, and the connection ends without an answer |
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from sandbox.aws.network import WORLD, home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.aws.latency import LatencyInjector
    from sandbox.aws.network import Network

_SIGNED_FOR: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")
HANG_SECONDS: Final = 3.5
"""Longer than a client of ours waits for an answer (3 s)."""
# What each service calls it: "Common errors" of its API reference.
_THROTTLED: Final = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "elasticloadbalancing": "Throttling",
    "sns": "Throttled",
}


class FaultKind(StrEnum):
    """What goes wrong."""

    THROTTLE = "throttle"
    TIME_OUT = "time-out"
    ACCESS_DENIED = "access denied"
    RESPONSE_LOST = "response lost"


@dataclass(slots=True)
class Fault:
    """Calls of roles whose name holds `role`: the next `count` of them, or all until it is taken away.

    `region`: those alone that go to this Region, whoever makes them; empty for all.
    """

    role: str
    kind: FaultKind
    count: int | None = None
    region: str = ""
    met: int = field(default=0, init=False)


class LostError(Exception):
    """The connection ends here."""


class Faults:
    """All faults that are in place. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._here = threading.local()

    @contextmanager
    def injected(self, role: str, kind: FaultKind, count: int | None = None, *, region: str = "") -> Iterator[Fault]:
        """Put a fault in place, and take it away at the end. It says how often it was met."""
        fault = Fault(role, kind, count, region)
        with self._lock:
            self._faults.append(fault)
        try:
            yield fault
        finally:
            with self._lock:
                self._faults.remove(fault)

    def meet(self, role: str, region: str, service: str, request: Any, refuse: Callable[[], None]) -> None:
        """A role makes a call to a Region: nothing, or the fault that is due. `refuse` raises the service's denial."""
        fault = self._due(role, region)
        if fault is None:
            return
        match fault.kind:
            case FaultKind.THROTTLE:
                raise _throttled(service, request)
            case FaultKind.ACCESS_DENIED:
                refuse()
            case FaultKind.TIME_OUT:
                time.sleep(HANG_SECONDS)
                self._here.cut = True
                raise LostError
            case FaultKind.RESPONSE_LOST:
                self._here.cut = True

    def _due(self, role: str, region: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                meant = fault.role in role and fault.region in ("", region)
                if meant and (fault.count is None or fault.met < fault.count):
                    fault.met += 1
                    return fault
        return None

    def cut_due(self) -> bool:
        """Whether the answer that this thread has made is to be lost; asked once per request."""
        due = bool(getattr(self._here, "cut", False))
        self._here.cut = False
        return due


def _throttled(service: str, request: Any) -> Exception:
    code = _THROTTLED.get(service, "ThrottlingException")
    if get_service_model(request.boto3_service_name).protocol in ("json", "rest-json"):
        error: Exception = JsonRESTError(code, "Rate exceeded")
        error.code = 400  # type: ignore[attr-defined]  # moto's, which is not typed
    else:
        error = ServiceException(code, "Rate exceeded")
    return error


def install(faults: Faults, network: Network, injector: LatencyInjector) -> Callable[[], None]:
    """Have moto's server end connections whose answer is lost, or that the network drops. The result takes it back."""
    original = DomainDispatcherApplication.__call__

    def call(app: Any, environ: dict[str, Any], start_response: Any) -> Any:
        lost = False
        faults.cut_due()
        try:
            _travel(environ, network, injector)
            answer = original(app, environ, start_response)
            body = list(answer)  # the whole of it: the call has taken effect
        except LostError:
            body, lost = [], True
        if faults.cut_due() or lost:
            connection: socket.socket = environ["werkzeug.socket"]
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return body

    DomainDispatcherApplication.__call__ = call

    def take_back() -> None:
        DomainDispatcherApplication.__call__ = original

    return take_back


def _travel(environ: dict[str, Any], network: Network, injector: LatencyInjector) -> None:
    """A function's call to a Region, its own or another: it takes the time of the way, or does not get there."""
    source = network.source(str(environ.get("REMOTE_ADDR", "")))
    signed = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
    if source == WORLD or signed is None:
        return
    region, service = signed.groups()
    target = home(service, region)
    if not network.reaches(source, target):
        time.sleep(HANG_SECONDS)
        raise LostError
    injector.travel(network.round_trip(source, target), caller=source, detail=service, region=target)
