"""EventBridge: rules that reach their targets, schedules that fire, and the events of Step Functions.

moto matches patterns and keeps schedules, but reaches no Lambda function, state machine or topic, and never fires.
A target of a kind that is not known here is refused by name.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.events.models import EventTemplateParser, Rule
from moto.scheduler.models import scheduler_backends

from sandbox.aws.execution import send_to_queue
from sandbox.aws.roles import RoleClients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.statemachines import ExecutionStatus

_UNITS: Final = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_TICK_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 1.0
_MOST_RETRIES: Final = 3  # AWS tries for hours; whoever waits here does not
_IN_THE_END: Final = frozenset({"FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"})

logger = logging.getLogger("sandbox.events")


class UnknownTargetError(ValueError):
    """A target of a kind that the sandbox does not reach: it refuses it where AWS would take it."""


class Targets:
    """Delivers to targets, on threads of its own. `region` is where their clients are."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._session: Any = boto3.Session(region_name=region)
        self._lock = threading.Lock()
        self._admin: dict[str, Any] = {}
        self._roles = RoleClients("eventbridge")
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="EventBridge")
        self._closed = threading.Event()

    def deliver(self, target: Mapping[str, Any], body: str) -> None:
        """Deliver in the background: retries, then the target's dead-letter queue."""
        if not self._closed.is_set():
            self._pool.submit(self._deliver, target, body)

    def close(self) -> None:
        """Deliver no more. May be called again."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, target: Mapping[str, Any], body: str) -> None:
        retries = min(int(target.get("RetryPolicy", {}).get("MaximumRetryAttempts", _MOST_RETRIES)), _MOST_RETRIES)
        for attempt in range(retries + 1):
            try:
                self._send(target, body)
            except (ClientError, UnknownTargetError) as error:
                logger.warning("attempt %d at %s failed: %s", attempt + 1, target["Arn"], error)
                if attempt < retries and self._closed.wait(_RETRY_SECONDS):
                    return
            else:
                return
        if dead_letters := target.get("DeadLetterConfig", {}).get("Arn"):
            send_to_queue(dead_letters, body)

    def _send(self, target: Mapping[str, Any], body: str) -> None:
        arn, role = str(target["Arn"]), target.get("RoleArn")
        match arn.split(":")[2]:
            case "lambda":
                self._client("lambda", role).invoke(FunctionName=arn, InvocationType="Event", Payload=body.encode())
            case "states":
                self._client("stepfunctions", role).start_execution(stateMachineArn=arn, input=body)
            case "sns":
                self._client("sns", role).publish(TopicArn=arn, Message=body)
            case "sqs":
                send_to_queue(arn, body)
            case other:
                raise UnknownTargetError(f"the sandbox does not reach targets of {other}: {arn}")

    def _client(self, service: str, role: str | None) -> Any:
        """A schedule acts under its role; a rule reaches a function by the function's own permission."""
        if role:
            return self._roles.client(self._region, service, role)
        with self._lock:
            if service not in self._admin:
                self._admin[service] = self._session.client(service)
            return self._admin[service]


def install(targets: Targets) -> Callable[[], None]:
    """Have moto's rules reach their targets. The result takes it back."""
    original = Rule.send_to_targets

    def send_to_targets(self: Any, event: Any, transform_input: bool = True) -> None:
        if self.event_pattern.matches_event(event):
            for target in self.targets:
                targets.deliver(target, _body(target, event) if transform_input else json.dumps(event))

    Rule.send_to_targets = send_to_targets

    def take_back() -> None:
        Rule.send_to_targets = original

    return take_back


def _body(target: Mapping[str, Any], event: Any) -> str:
    if "Input" in target:
        return str(target["Input"])
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        made = EventTemplateParser.parse(
            input_template=transformer["InputTemplate"],
            input_paths_map=transformer.get("InputPathsMap", {}),
            event=event,
        )
        return made if isinstance(made, str) else json.dumps(made)
    if "InputPath" in target:
        found = event
        for part in str(target["InputPath"]).removeprefix("$").strip(".").split("."):
            found = found[part] if part else found
        return json.dumps(found)
    return json.dumps(event)


def put_execution_status(region: str) -> Callable[[ExecutionStatus], None]:
    """What Step Functions puts on the default bus when an execution's status changes.

    The detail's fields are those of the Step Functions guide, "Automating Step Functions event delivery".
    """
    session: Any = boto3.Session(region_name=region)
    client = session.client("events")

    def put(status: ExecutionStatus) -> None:
        detail = {
            "executionArn": status.execution_arn,
            "stateMachineArn": status.machine_arn,
            "name": status.name,
            "status": status.status,
            "startDate": int(status.started_at * 1000),
            "stopDate": int(status.ended_at * 1000) if status.ended_at else None,
            "input": status.input,
            "output": status.output,
            "error": status.error if status.status in _IN_THE_END else None,
            "cause": status.cause if status.status in _IN_THE_END else None,
        }
        entry = {
            "Source": "aws.states",
            "DetailType": "Step Functions Execution Status Change",
            "Detail": json.dumps(detail),
            "Resources": [status.execution_arn],
        }
        client.put_events(Entries=[entry])

    return put


class Ticker:
    """Fires EventBridge Scheduler's schedules in real time: a new one at once, then at its rate."""

    def __init__(self, region: str, targets: Targets) -> None:
        self._region = region
        self._targets = targets
        self._due: dict[str, float] = {}
        self._paused: set[str] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, first_after_seconds: float = 0.0) -> None:
        """Begin to fire. Does nothing when it has begun."""
        if self._thread is None:
            begin = time.monotonic() + first_after_seconds
            self._thread = threading.Thread(target=self._run, args=(begin,), name="ticker", daemon=True)
            self._thread.start()

    def fire(self, name: str) -> None:
        """Fire a schedule now, out of turn. Raises KeyError when there is none of that name."""
        self._fire(self._schedules()[name])

    def pause(self, name: str) -> None:
        """Do not fire this schedule until it is resumed."""
        self._paused.add(name)

    def resume(self, name: str) -> None:
        """Fire it again at its rate."""
        self._paused.discard(name)

    def stop(self) -> None:
        """Fire no more. May be called again."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _schedules(self) -> dict[str, Any]:
        groups = scheduler_backends[DEFAULT_ACCOUNT_ID][self._region].schedule_groups
        return {name: schedule for group in list(groups.values()) for name, schedule in list(group.schedules.items())}

    def _run(self, begin: float) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            for name, schedule in self._schedules().items():
                if schedule.state != "ENABLED" or name in self._paused:
                    continue
                if now >= self._due.get(name, begin):
                    self._due[name] = max(self._due.get(name, now), now - _TICK_SECONDS) + period(schedule)
                    self._fire(schedule)

    def _fire(self, schedule: Any) -> None:
        self._targets.deliver(schedule.target, str(schedule.target.get("Input") or "{}"))


def period(schedule: Any) -> float:
    """Seconds between two firings. Raises ValueError for an expression that is no rate."""
    found = _RATE.fullmatch(schedule.schedule_expression)
    if found is None:
        raise ValueError(f"the sandbox fires rates only, not {schedule.schedule_expression} ({schedule.name})")
    return int(found[1]) * _UNITS[found[2]]
