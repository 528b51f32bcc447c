"""Lambda's execution environments: every function under AWS's own runtime client, in processes of its own.

A function has its code and its layers from the deployed artefacts, its environment from the template, and its role's
credentials. It runs in the interpreter that holds what a Lambda holds and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import threading
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

import boto3
from moto.awslambda import models as lambda_models
from moto.core.exceptions import JsonRESTError

from sandbox.aws.runtime_api import Answer, Environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_ENVIRONMENTS: Final = 30
# Lambda's asynchronous queue: two retries by default, one minute and then two minutes later.
_RETRY_SECONDS: Final = (60.0, 120.0)
_THROTTLED_RETRY_SECONDS: Final = 1.0
_ROOM_SECONDS: Final = 60.0


class ThrottledError(JsonRESTError):
    """The function has as many environments at work as it may have."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class ExecutionEnvironments:
    """All environments of all functions. Safe to use from several threads.

    `on_log` is called with the function's name and each line that it writes to standard output.
    """

    def __init__(
        self,
        *,
        endpoint_url: str,
        python: Path,
        log_directory: Path,
        cache_directory: Path,
        on_log: Callable[[str, str], None] | None = None,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._python = python
        self._log_directory = log_directory
        self._cache_directory = cache_directory
        self._on_log = on_log
        self._room = threading.Condition()
        self._unpacking = threading.Lock()
        self._idle: list[Environment] = []
        self._active: list[Environment] = []
        self._threads: set[threading.Thread] = set()
        self._closed = threading.Event()

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
        self._threads.add(thread)
        thread.start()

    def stop(self, function_name: str | None = None, *, active: bool = False) -> None:
        """End the idle environments of a function, or of all; with `active` those at work too, in mid-invocation."""
        with self._room:
            chosen = [one for one in self._idle if _is_of(one, function_name)]
            self._idle = [one for one in self._idle if one not in chosen]
            if active:
                chosen += [one for one in self._active if _is_of(one, function_name)]
        for environment in chosen:
            environment.close()

    def pids(self, function_name: str) -> list[int]:
        """The processes of a function."""
        with self._room:
            return [one.pid for one in (*self._idle, *self._active) if _is_of(one, function_name) and one.alive]

    def close(self) -> None:
        """End all. May be called again."""
        self._closed.set()
        self.stop(active=True)

    def _acquire(self, function: Any) -> Environment:
        arn = str(function.function_arn)
        deadline = time.monotonic() + _ROOM_SECONDS
        with self._room:
            if self._closed.is_set():
                raise ThrottledError
            self._drop_dead()
            reserved = function.reserved_concurrency
            if reserved is not None and sum(one.function_arn == arn for one in self._active) >= int(reserved):
                raise ThrottledError
            while True:
                if found := next((one for one in reversed(self._idle) if one.function_arn == arn), None):
                    self._idle.remove(found)
                    self._active.append(found)
                    return found
                if self._make_room():
                    break
                if not self._room.wait(max(0.0, deadline - time.monotonic())):
                    raise ThrottledError
            environment = self._start(function)
            self._active.append(environment)
            return environment

    def _make_room(self) -> bool:
        """End the environment that has been idle longest when there are too many. False when all are at work."""
        if len(self._idle) + len(self._active) < MOST_ENVIRONMENTS:
            return True
        if not self._idle:
            return False
        oldest = min(self._idle, key=lambda one: one.last_used)
        self._idle.remove(oldest)
        oldest.close()
        return True

    def _drop_dead(self) -> None:
        for one in [one for one in self._idle if not one.alive]:
            self._idle.remove(one)
            one.close()

    def _release(self, environment: Environment) -> None:
        with self._room:
            if environment in self._active:
                self._active.remove(environment)
            if environment.alive and not self._closed.is_set():
                self._idle.append(environment)
            else:
                environment.close()
            self._room.notify_all()

    def _start(self, function: Any) -> Environment:
        code = self._unpacked(function.code_bytes)
        backend = lambda_models.lambda_backends[function.account_id][function.region]
        layers = [self._unpacked(backend.layers_versions_by_arn(layer["Arn"]).code_bytes) for layer in function.layers]
        path = [*(str(layer / "python") for layer in layers), str(code)]
        name = str(function.function_name)
        return Environment(
            name,
            str(function.function_arn),
            [str(self._python), "-m", "awslambdaric", function.handler],
            {**self._environment(function), "PYTHONPATH": os.pathsep.join(path), "LAMBDA_TASK_ROOT": str(code)},
            code,
            log=self._log_directory / f"{name}.log",
            on_line=lambda line: self._heard(name, line),
        )

    def _environment(self, function: Any) -> dict[str, str]:
        credentials = boto3.client("sts", region_name=function.region).assume_role(
            RoleArn=function.role, RoleSessionName=function.function_name
        )["Credentials"]
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": function.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.function_name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox",
            # The template's Globals ask for it; a template test holds that they do.
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            **function.environment_vars,
        }

    def _unpacked(self, archive: bytes) -> Path:
        """A folder with the archive's files and their bytecode, made once for each content."""
        folder = self._cache_directory / hashlib.sha256(archive).hexdigest()[:24]
        with self._unpacking:
            if not folder.exists():
                building = folder.with_suffix(".building")
                building.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(building)
                command = [str(self._python), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."]
                subprocess.run(command, cwd=building, check=False, capture_output=True)
                building.rename(folder)
        return folder

    def _heard(self, function_name: str, line: str) -> None:
        with (self._log_directory / f"{function_name}.log").open("a") as log:
            log.write(line + "\n")
        if self._on_log is not None:
            self._on_log(function_name, line)

    def _run_event(self, function: Any, payload: bytes) -> None:
        try:
            config = function.event_invoke_config[-1].config if function.event_invoke_config else {}
            retries = int(config.get("MaximumRetryAttempts", len(_RETRY_SECONDS)))
            answer = self._attempt(function, payload, float(config.get("MaximumEventAgeInSeconds", 21_600)))
            for wait in _RETRY_SECONDS[:retries]:
                if not answer.is_error or self._closed.wait(wait):
                    return
                answer = self._attempt(function, payload, 0.0)
            if answer.is_error and not self._closed.is_set():
                _undelivered(function, config, payload, answer)
        finally:
            self._threads.discard(threading.current_thread())

    def _attempt(self, function: Any, payload: bytes, age_seconds: float) -> Answer:
        """One attempt; a throttled one waits in the queue, for as long as the event may live."""
        deadline = time.monotonic() + age_seconds
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
        if (headers or {}).get("X-Amz-Invocation-Type") == "Event":
            environments.invoke_async(function, payload)
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


def _undelivered(function: Any, config: Any, payload: bytes, answer: Answer) -> None:
    """Send what could not be handled to the OnFailure destination and to the dead-letter queue, as Lambda does."""
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    dead_letters = (getattr(function, "dead_letter_config", None) or {}).get("TargetArn")
    if destination:
        record = {
            "version": "1.0",
            "requestContext": {"functionArn": function.function_arn, "condition": "RetriesExhausted"},
            "requestPayload": json.loads(payload or b"{}"),
            "responsePayload": json.loads(answer.payload or b"{}"),
        }
        send_to_queue(destination, json.dumps(record))
    if dead_letters:
        send_to_queue(dead_letters, payload.decode())


def send_to_queue(queue_arn: str, body: str) -> None:
    """Send a message to a queue by its ARN."""
    region, _, name = queue_arn.split(":")[3:6]
    sqs = boto3.client("sqs", region_name=region)
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)


def _is_of(environment: Environment, function_name: str | None) -> bool:
    return function_name is None or environment.function_arn.endswith(f":function:{function_name}")
