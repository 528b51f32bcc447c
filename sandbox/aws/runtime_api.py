"""One Lambda execution environment: AWS's own runtime client in a process, and the Runtime API that it asks.

The Runtime API is https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, on loopback: the process asks for
the next invocation, and posts its response or its error.
"""

from __future__ import annotations

import http.server
import json
import queue
import socket
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox.processes import Forks

_VERSION: Final = "/2018-06-01/runtime"
_POLL_SECONDS: Final = 0.05  # how late the death of the process is seen; an answer is seen at once
_SHUTDOWN_SECONDS: Final = 0.1  # how late the server sees that it is to end
# Lambda gives the initialisation 10 s of its own, and once more the function's time-out (Lambda guide, lifecycle of the
# execution environment).
INIT_SECONDS: Final = 10.0


class Answer(NamedTuple):
    """What a function answered: its result, or its error as Lambda describes it."""

    is_error: bool
    payload: bytes

    @classmethod
    def error(cls, kind: str, message: str) -> Answer:
        """An error that Lambda itself reports."""
        return cls(is_error=True, payload=json.dumps({"errorType": kind, "errorMessage": message}).encode())


class _Invocation:
    """One event. Its time begins when the process takes it: a cold start is not the invocation's."""

    def __init__(self, payload: bytes, timeout_seconds: float) -> None:
        self.request_id = str(uuid.uuid4())
        self.payload = payload
        self.timeout_seconds = timeout_seconds
        self._ends_at = time.monotonic() + INIT_SECONDS + timeout_seconds

    def begin(self) -> int:
        """The process has taken it. Gives the deadline in milliseconds of the epoch."""
        self._ends_at = time.monotonic() + self.timeout_seconds
        return int((time.time() + self.timeout_seconds) * 1000)

    def remaining(self) -> float:
        """Seconds until the time-out."""
        return self._ends_at - time.monotonic()


class Environment:
    """One process that takes one invocation at a time.

    `version`: what was deployed when it was started; another version wants another environment. `forks`: see Child.
    """

    def __init__(
        self,
        name: str,
        function_arn: str,
        version: str,
        command: list[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        log: Path,
        on_line: Callable[[str], None],
        forks: Forks | None = None,
    ) -> None:
        self.function_arn = function_arn
        self.version = version
        self.last_used = time.monotonic()
        self._broken = False
        self._ready = threading.Event()
        self._started = threading.Event()
        self._next: queue.Queue[_Invocation] = queue.Queue()
        self._answers: queue.Queue[tuple[str, Answer]] = queue.Queue()
        self._server = _Server(self)
        threading.Thread(
            target=self._server.serve_forever, args=(_SHUTDOWN_SECONDS,), name=f"Runtime API of {name}", daemon=True
        ).start()
        api = f"127.0.0.1:{self._server.server_address[1]}"
        try:
            self._child = Child(
                name,
                command,
                environment={**environment, "AWS_LAMBDA_RUNTIME_API": api},
                directory=directory,
                log=log,
                ready=None,
                on_line=on_line,
                forks=forks,
            )
            self._started.set()
        except BaseException:
            self._end_server()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it can take an invocation."""
        return not self._broken and self._child.alive

    def wait_until_ready(self) -> bool:
        """Wait for the end of the initialisation. False when it failed, or took too long."""
        ends_at = time.monotonic() + INIT_SECONDS
        while self.alive and time.monotonic() < ends_at:
            if self._ready.wait(_POLL_SECONDS):
                break
        return self.alive and self._ready.is_set()

    def invoke(self, payload: bytes, timeout_seconds: float) -> Answer:
        """Run one invocation. A time-out and an exit of the process end the environment, as they do on AWS."""
        invocation = _Invocation(payload, timeout_seconds)
        self._next.put(invocation)
        try:
            while (remaining := invocation.remaining()) > 0:
                alive = self._child.alive  # asked before the answer is: whoever answers and exits has answered
                if answer := self._answer(invocation.request_id, min(_POLL_SECONDS, remaining) if alive else 0.0):
                    return answer
                if not alive:
                    return self._exited(invocation.request_id)
        finally:
            self.last_used = time.monotonic()
        self.close()
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        message = f"{moment} {invocation.request_id} Task timed out after {timeout_seconds:.2f} seconds"
        return Answer.error("Sandbox.Timedout", message)

    def close(self) -> None:
        """Kill the process and free the port. May be called again."""
        self._child.close()
        self._end_server()

    def next_invocation(self) -> _Invocation | None:
        """Wait for an invocation, for as long as the process is there to ask."""
        self._started.wait()  # on a busy machine the process asks before its start has returned here
        self._ready.set()
        while self._child.alive:
            try:
                return self._next.get(timeout=1.0)
            except queue.Empty:
                continue
        return None

    def answered(self, request_id: str, answer: Answer) -> None:
        """Take an answer; an empty request id is the error of the initialisation, after which the process exits."""
        if not request_id:
            self._broken = True
        self._answers.put((request_id, answer))

    def _answer(self, request_id: str, wait_seconds: float) -> Answer | None:
        try:
            answered, answer = self._answers.get(timeout=wait_seconds) if wait_seconds else self._answers.get_nowait()
        except queue.Empty:
            return None
        return answer if answered in (request_id, "") else None

    def _exited(self, request_id: str) -> Answer:
        status = self._child.exit_status or 0
        how = f"signal: {-status}" if status < 0 else f"exit status {status}"
        return Answer.error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {how}")

    def _end_server(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.environment = environment

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that is killed resets its connection: that is an end, not a fault to be printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def setup(self) -> None:
        super().setup()
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a call

    @property
    def environment(self) -> Environment:
        return cast("_Server", self.server).environment

    def do_GET(self) -> None:
        if self.path != f"{_VERSION}/invocation/next":
            self.send_error(404)
            return
        invocation = self.environment.next_invocation()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.begin()),
            "Lambda-Runtime-Invoked-Function-Arn": self.environment.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            "Content-Type": "application/json",
        }
        self._send(200, headers, invocation.payload)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.removeprefix(f"{_VERSION}/").split("/")
        if parts == ["init", "error"]:
            self.environment.answered("", Answer(is_error=True, payload=body))
        else:
            _, request_id, kind = parts
            self.environment.answered(request_id, Answer(is_error=kind == "error", payload=body))
        self._send(202, {}, b"")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except ConnectionError:  # the process was killed while it asked
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the calls of the runtime client are no news."""
