"""Parent's handle on the front door: a stand-in for an Application Load Balancer, in a process of its own.

What it does with a request is in `proxy`, how it chooses in `balancer`. Parent and process speak JSON lines over the
child's standard input and output: `{"id", "do", ...}` and `{"id", "result"}`. The process asks too, for what a Lambda
function returns: `{"invoke", "function", "event"}` and `{"do": "invoked", "invocation", "is_error", "returned"}`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox.fleet.balancer import TargetKey
    from sandbox.fleet.routing import Roads, Routing

_ANSWER_SECONDS: Final = 10.0
_INVOKERS: Final = 8  # functions invoked at once


@dataclass(frozen=True, slots=True)
class GroupCounters:
    """What has happened to the requests of one target group since the start, as CloudWatch's ELB metrics count it.

    `requests` RequestCount (those for which a target was found); `target_2xx` ... HTTPCode_Target_2XX_Count ...;
    `elb_5xx` HTTPCode_ELB_5XX_Count (502, 503, 504); `connection_errors` TargetConnectionErrorCount; `client_closed`
    requests whose client left first (ALB's 460); `cut` streams that the target did not end; `response_seconds` the sum
    of TargetResponseTime (until the headers), `response_times` how often each of them was there, to three digits.
    """

    requests: int = 0
    target_2xx: int = 0
    target_3xx: int = 0
    target_4xx: int = 0
    target_5xx: int = 0
    elb_5xx: int = 0
    connection_errors: int = 0
    client_closed: int = 0
    cut: int = 0
    response_seconds: float = 0.0
    response_times: Mapping[float, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DoorCounters:
    """`groups` by target group ARN. `elb_status`: what the door itself answered, by status, in all."""

    groups: Mapping[str, GroupCounters]
    elb_status: Mapping[int, int]


class FrontDoor:
    """A running front door. It knows no rule (404) before the first `apply`. Safe to use from several threads.

    `invoke` takes a Lambda function's ARN and an event, and gives whether it failed and what it returned; it is called
    on threads of the front door's own. Without it a request for a function is answered 502.
    """

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        idle_timeout_seconds: float = 60.0,
        log: Path | None = None,
        invoke: Callable[[str, bytes], tuple[bool, bytes]] | None = None,
    ) -> None:
        self._invoke = invoke
        self._invokers = ThreadPoolExecutor(_INVOKERS, thread_name_prefix="front door invokes")
        self._answers: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._asked = 0
        options = ("--address", address, "--port", str(port), "--seed", str(seed))
        idle = ("--idle-timeout-seconds", str(idle_timeout_seconds))
        self._child = Child.of_module(
            "front door", "sandbox.fleet.frontdoor", *options, *idle, log=log, on_line=self._take_answer
        )
        self.url = self._child.wait_until_ready()

    @property
    def pid(self) -> int:
        """The process id of the front door."""
        return self._child.pid

    def apply(self, routing: Routing) -> None:
        """Returns once the process follows this routing. Requests under way are not touched."""
        self._ask("apply", routing=routing.to_json())

    def take_roads(self, roads: Roads) -> None:
        """Returns once new connections come this way. Those that are open stay so."""
        self._ask("roads", roads=asdict(roads))

    def go_dark(self) -> None:
        """SIGSTOP: connections are taken and never answered, streams stand still."""
        self._child.stop()

    def come_back(self) -> None:
        """SIGCONT."""
        self._child.resume()

    def health(self) -> Mapping[TargetKey, str]:
        """(target group ARN, target id, port) to "initial", "healthy" or "unhealthy"."""
        return {(arn, target, port): state for arn, target, port, state in self._ask("health")}

    def counters(self) -> DoorCounters:
        """Counts since the start."""
        answer = self._ask("counters")
        return DoorCounters(
            groups={arn: _group_counters(**counts) for arn, counts in answer["groups"].items()},
            elb_status={int(status): count for status, count in answer["elb_status"].items()},
        )

    def close(self) -> None:
        """Ends the process; connections through it are cut. May be called again."""
        self._child.close()
        self._invokers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.set_exception(ConnectionError("the front door is closed"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, what: str, **more: object) -> Any:
        answer: Future[Any] = Future()
        with self._lock:
            self._asked += 1
            number = self._asked
            self._answers[number] = answer
        try:
            self._child.send(json.dumps({"id": number, "do": what, **more}))
            return answer.result(_ANSWER_SECONDS)
        finally:
            with self._lock:
                self._answers.pop(number, None)

    def _take_answer(self, line: str) -> None:
        message = json.loads(line)
        if "invoke" in message:
            with contextlib.suppress(RuntimeError):  # the front door is being closed
                self._invokers.submit(self._invoke_for, message)
            return
        with self._lock:
            answer = self._answers.pop(message["id"], None)
        if answer is not None:
            answer.set_result(message["result"])

    def _invoke_for(self, message: dict[str, Any]) -> None:
        is_error, returned = True, b"nobody invokes functions for this front door"
        if self._invoke is not None:
            try:
                is_error, returned = self._invoke(message["function"], message["event"].encode())
            except Exception as error:  # noqa: BLE001 - whatever it is, the client waits for an answer
                returned = repr(error).encode()
        told = {"do": "invoked", "invocation": message["invoke"], "is_error": is_error, "returned": returned.decode()}
        with contextlib.suppress(BrokenPipeError):
            self._child.send(json.dumps(told))


def _group_counters(*, response_times: Mapping[str, int], **counts: Any) -> GroupCounters:
    return GroupCounters(**counts, response_times={float(took): count for took, count in response_times.items()})


if __name__ == "__main__":
    from sandbox.fleet.door import main

    main()
