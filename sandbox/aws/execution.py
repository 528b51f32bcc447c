"""Lambda's execution environments: every function under AWS's own runtime client, in processes of its own.

A function has its code and its layers from the deployed artefacts, its environment from the template, and its role's
credentials. It runs in the interpreter that holds what a Lambda holds and nothing else.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda import models as lambda_models
from moto.core.exceptions import JsonRESTError

from sandbox.aws import deployed, destinations
from sandbox.aws.destinations import send_to_queue
from sandbox.aws.roles import RoleClients
from sandbox.aws.runtime_api import Answer, Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandbox.aws.network import Network

__all__ = ["MOST_ENVIRONMENTS", "ExecutionEnvironments", "ThrottledError", "install", "send_to_queue"]

# Some 63 MB each. Three Regions use about 80 functions in a minute: with fewer, each would end what another needs next.
MOST_ENVIRONMENTS: Final = 96
# Lambda's asynchronous queue: two retries by default, one minute and then two minutes later.
RETRY_SECONDS: Final = (60.0, 120.0)
_THROTTLED_RETRY_SECONDS: Final = 1.0
_MOST_AGE_SECONDS: Final = 21_600.0
_ROOM_SECONDS: Final = 60.0
_EVENT_END_SECONDS: Final = 5.0


class ThrottledError(JsonRESTError):
    """The function has as many environments at work as it may have."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class ExecutionEnvironments:
    """All environments of all functions. Safe to use from several threads.

    A function is named by its name, which means those of all Regions, or by its ARN. `python`: the interpreter of the
    processes. `log_directory` gets a folder a Region with a file for each function. `on_log` is called with Region,
    name and each line of its standard output, `monitor` with its ARN and the line. `retry_seconds`: the waits before
    the retries of an asynchronous event. `network`: what is in a Region that is lost ends, and nothing starts there.
    """

    def __init__(
        self,
        *,
        endpoint_url: str,
        python: Path,
        log_directory: Path,
        cache_directory: Path,
        on_log: Callable[[str, str, str], None] | None = None,
        monitor: Callable[[str, str], None] | None = None,
        network: Network,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._python = python
        self._log_directory = log_directory
        self._archives = deployed.Archives(cache_directory, python)
        self._on_log = on_log
        self._monitor = monitor
        self._network = network
        self._retry_seconds = retry_seconds
        self._roles = RoleClients("lambda")
        self._room = threading.Condition()
        self._idle: list[Environment] = []
        self._active: list[Environment] = []
        self._starting: list[str] = []  # ARNs of functions: their places are taken, the processes are on their way
        self._events: set[threading.Thread] = set()
        self._closed = threading.Event()
        network.on_change(self._end_what_is_lost)

    def invoke(self, function: Any, payload: bytes) -> Answer:
        """Run a function (moto's object) and wait for its answer. Raises ThrottledError."""
        environment = self._acquire(function)
        try:
            return environment.invoke(payload, float(function.timeout))
        finally:
            self._release(environment)

    def invoke_async(self, function: Any, payload: bytes) -> None:
        """Queue an event: retries, then the function's OnFailure destination or dead-letter queue."""
        thread = threading.Thread(
            target=self._run_event, args=(function, payload), name=f"event for {function.function_name}", daemon=True
        )
        self._events.add(thread)
        thread.start()

    def warm(self, function_name: str, count: int = 1) -> None:
        """Start what is missing of `count` environments, and wait until they are initialised.

        One whose initialisation fails is ended. Raises KeyError for an unknown function, ThrottledError when there is
        no room or when the function's reserved concurrency is smaller.
        """
        started: list[Environment] = []
        try:
            for function in _functions(function_name):
                for _ in range(count - len(self.pids(function.function_arn))):
                    one = self._acquire(function, fresh=True)
                    started.append(one)  # those before a refusal count too
            for environment in started:
                environment.wait_until_ready()
        finally:
            for environment in started:
                self._release(environment)

    def stop(self, function_name: str | None = None, *, active: bool = False) -> None:
        """End the idle environments of a function, or of all; with `active` those at work too, in mid-invocation."""
        with self._room:
            chosen = [one for one in self._idle if _is_of(one, function_name)]
            self._idle = [one for one in self._idle if one not in chosen]
            if active:
                chosen += [one for one in self._active if _is_of(one, function_name)]
            self._room.notify_all()
        _end(chosen)

    def pids(self, function_name: str) -> list[int]:
        """The processes of a function."""
        with self._room:
            return [one.pid for one in (*self._idle, *self._active) if _is_of(one, function_name) and one.alive]

    def close(self) -> None:
        """End all. May be called again."""
        self._closed.set()
        self.stop(active=True)
        for thread in tuple(self._events):
            thread.join(_EVENT_END_SECONDS)

    def _acquire(self, function: Any, *, fresh: bool = False) -> Environment:
        """An environment that is the caller's alone until it is released; `fresh`: none that is there already."""
        ended: list[Environment] = []
        try:
            with self._room:
                found = self._claim(function, ended, fresh=fresh)
        finally:
            _end(ended)
        return found or self._start_claimed(function)

    def _claim(self, function: Any, ended: list[Environment], *, fresh: bool) -> Environment | None:
        """An idle environment, or None and the place for a new one. What is to be ended is appended to `ended`."""
        arn, version = str(function.function_arn), deployed.version(function)
        deadline = time.monotonic() + _ROOM_SECONDS
        while True:
            self._refuse_what_is_too_much(function, arn)
            for one in tuple(self._idle):
                if not one.alive or (one.function_arn == arn and one.version != version):
                    self._idle.remove(one)
                    ended.append(one)
            usable = [] if fresh else [one for one in self._idle if one.function_arn == arn]
            if usable:
                self._idle.remove(usable[-1])
                self._active.append(usable[-1])
                return usable[-1]
            if len(self._idle) + len(self._active) + len(self._starting) < MOST_ENVIRONMENTS:
                self._starting.append(arn)
                return None
            if self._idle:
                oldest = min(self._idle, key=lambda one: one.last_used)
                self._idle.remove(oldest)
                ended.append(oldest)
            elif not self._room.wait(max(0.0, deadline - time.monotonic())):
                raise ThrottledError

    def _refuse_what_is_too_much(self, function: Any, arn: str) -> None:
        at_work = sum(one.function_arn == arn for one in self._active) + self._starting.count(arn)
        reserved = function.reserved_concurrency
        lost = self._network.is_lost(str(function.region))
        if self._closed.is_set() or lost or (reserved is not None and at_work >= int(reserved)):
            raise ThrottledError

    def _end_what_is_lost(self) -> None:
        """A Region that is gone takes its processes along, in mid-invocation."""
        with self._room:
            chosen = [one for one in (*self._idle, *self._active) if self._network.is_lost(_region(one))]
            self._idle = [one for one in self._idle if one not in chosen]
            self._room.notify_all()
        _end(chosen)

    def _start_claimed(self, function: Any) -> Environment:
        """Start an environment without the lock: others go on meanwhile."""
        environment = None
        try:
            environment = self._start(function)
        finally:
            with self._room:
                self._starting.remove(str(function.function_arn))
                wanted = environment is not None and not self._closed.is_set()
                if environment is not None and wanted:
                    self._active.append(environment)
                self._room.notify_all()
        if not wanted:
            environment.close()
            raise ThrottledError
        return environment

    def _release(self, environment: Environment) -> None:
        with self._room:
            if environment in self._active:
                self._active.remove(environment)
            usable = environment.alive and not self._closed.is_set()
            if usable:
                self._idle.append(environment)
            self._room.notify_all()
        if not usable:
            environment.close()

    def _start(self, function: Any) -> Environment:
        code = self._archives.unpacked(function.code_bytes)
        layers = [self._archives.unpacked(archive) for archive in deployed.layer_archives(function)]
        name = str(function.function_name)
        return Environment(
            name,
            str(function.function_arn),
            deployed.version(function),
            [str(self._python), "-m", "awslambdaric", function.handler],
            deployed.variables(
                function, code, layers, self._endpoint_url, self._network.attachment(str(function.region))
            ),
            code,
            log=self._log_file(function),
            on_line=lambda line: self._heard(function, line),
        )

    def _heard(self, function: Any, line: str) -> None:
        with self._log_file(function).open("a") as log:
            log.write(line + "\n")
        if self._monitor is not None:
            self._monitor(str(function.function_arn), line)
        if self._on_log is not None:
            self._on_log(str(function.region), str(function.function_name), line)

    def _log_file(self, function: Any) -> Path:
        folder = self._log_directory / str(function.region)
        folder.mkdir(exist_ok=True)
        return folder / f"{function.function_name}.log"

    def _run_event(self, function: Any, payload: bytes) -> None:
        try:
            config = function.event_invoke_config[-1].config if function.event_invoke_config else {}
            deadline = time.monotonic() + float(config.get("MaximumEventAgeInSeconds", _MOST_AGE_SECONDS))
            retries = int(config.get("MaximumRetryAttempts", len(RETRY_SECONDS)))
            answer, attempts = self._attempt(function, payload, deadline), 1
            for wait in self._retry_seconds[:retries]:
                if not answer.is_error or self._closed.wait(wait):
                    break
                answer, attempts = self._attempt(function, payload, deadline), attempts + 1
            if not self._closed.is_set():  # else nobody is there to take it
                destinations.deliver(function, config, payload, answer, attempts=attempts, roles=self._roles)
        finally:
            self._events.discard(threading.current_thread())

    def _attempt(self, function: Any, payload: bytes, deadline: float) -> Answer:
        """One attempt; a throttled one waits in the queue, for as long as the event may live."""
        while True:
            try:
                return self.invoke(function, payload)
            except ThrottledError:
                if time.monotonic() >= deadline or self._closed.wait(_THROTTLED_RETRY_SECONDS):
                    return Answer.error("TooManyRequestsException", "Rate Exceeded.")


def install(environments: ExecutionEnvironments) -> Callable[[], None]:
    """Have moto's Lambda run its functions here. The result takes it back."""
    original = lambda_models.LambdaBackend.invoke

    def invoke(
        backend: Any, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        function = backend.get_function(function_name, qualifier)
        payload = body.encode() if isinstance(body, str) else bytes(body or b"{}")
        kind = (headers or {}).get("X-Amz-Invocation-Type")
        if kind == "Event":
            environments.invoke_async(function, payload)
        if kind in ("Event", "DryRun"):
            response_headers["Content-Length"] = "0"
            return b""
        answer = environments.invoke(function, payload)
        if answer.is_error:
            response_headers["x-amz-function-error"] = "Unhandled"
        response_headers["Content-Length"] = str(len(answer.payload))
        return answer.payload

    lambda_models.LambdaBackend.invoke = invoke

    def take_back() -> None:
        lambda_models.LambdaBackend.invoke = original

    return take_back


def _functions(name: str) -> list[Any]:
    found = [
        function
        for regions in lambda_models.lambda_backends.values()
        for backend in tuple(regions.values())
        for function in backend.list_functions()
        if name in (function.function_name, function.function_arn)
    ]
    if not found:
        raise KeyError(f"there is no function {name}")
    return found


def _is_of(environment: Environment, function: str | None) -> bool:
    return function is None or function in (environment.function_arn, environment.function_arn.rpartition(":")[2])


def _region(environment: Environment) -> str:
    return environment.function_arn.split(":")[3]


def _end(environments: Sequence[Environment]) -> None:
    """All at once: each waits a moment for its server."""
    if environments:
        with ThreadPoolExecutor(8, thread_name_prefix="end of environments") as pool:
            list(pool.map(Environment.close, environments))
