"""EventBridge: rules that reach their targets, schedules that fire, and the events of Step Functions.

moto matches patterns and keeps schedules, but reaches no Lambda function, state machine or topic, and never fires.
A target of a kind that is not known here is refused by name.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.events.models import Rule
from moto.scheduler.models import scheduler_backends

from sandbox.aws.execution import send_to_queue
from sandbox.aws.roles import RoleClients
from sandbox.aws.sessions import new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sandbox.aws.statemachines import ExecutionStatus

_UNITS: Final = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_WEEKLY: Final = re.compile(r"cron\(\d+ \d+ \? \* [A-Z]{3} \*\)")
"""A schedule of one weekday fires once in seven days, as by a rate, on whatever day the sandbox begins."""
_TICK_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 1.0
_MOST_RETRIES: Final = 3  # AWS tries for hours; whoever waits here does not
# A template's own text in quotes, or a placeholder outside of them.
_TEMPLATE_PART: Final = re.compile(r'"(?:[^"\\]|\\.)*"|<[\w.-]+>')
_PLACEHOLDER: Final = re.compile(r"<([\w.-]+)>")
_IN_THE_END: Final = frozenset({"FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"})

logger = logging.getLogger("sandbox.events")


class UnknownTargetError(ValueError):
    """A target of a kind that the sandbox does not reach: it refuses it where AWS would take it."""


class Targets:
    """Delivers to targets, each in the Region that its ARN names, on threads of its own."""

    def __init__(self) -> None:
        self._session: Any = new_session()
        self._lock = threading.Lock()
        self._admin: dict[tuple[str, str], Any] = {}
        self._roles = RoleClients("eventbridge")
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="EventBridge")
        self._closed = threading.Event()

    def deliver(self, target: Mapping[str, Any], body: str, *, buried_by: str | None = None) -> None:
        """Deliver in the background: retries, then the target's dead-letter queue.

        `buried_by`: the role that writes the dead letter. Scheduler uses the schedule's, EventBridge writes as itself.
        """
        with self._lock:
            if not self._closed.is_set():
                self._pool.submit(self._deliver, target, body, buried_by)

    def close(self) -> None:
        """Deliver no more. May be called again."""
        with self._lock:
            self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, target: Mapping[str, Any], body: str, buried_by: str | None) -> None:
        retries = min(int(target.get("RetryPolicy", {}).get("MaximumRetryAttempts", _MOST_RETRIES)), _MOST_RETRIES)
        for attempt in range(retries + 1):
            try:
                self._send(target, body)
            except (BotoCoreError, ClientError, UnknownTargetError) as error:
                logger.warning("attempt %d at %s failed: %s", attempt + 1, target["Arn"], error)
                if attempt < retries and self._closed.wait(_RETRY_SECONDS):
                    return
            else:
                return
        if dead_letters := target.get("DeadLetterConfig", {}).get("Arn"):
            self._bury(str(dead_letters), body, buried_by)

    def _bury(self, queue_arn: str, body: str, role: str | None) -> None:
        try:
            if role:
                region, name = queue_arn.split(":")[3], queue_arn.rsplit(":", maxsplit=1)[-1]
                url = self._client("sqs", region, None).get_queue_url(QueueName=name)["QueueUrl"]
                self._client("sqs", region, role).send_message(QueueUrl=url, MessageBody=body)
            else:
                send_to_queue(queue_arn, body)
        except (BotoCoreError, ClientError):
            logger.exception("a dead letter for %s is lost", queue_arn)

    def _send(self, target: Mapping[str, Any], body: str) -> None:
        arn, role = str(target["Arn"]), target.get("RoleArn")
        service, region = arn.split(":")[2:4]
        match service:
            case "lambda":
                functions = self._client("lambda", region, role)
                functions.invoke(FunctionName=arn, InvocationType="Event", Payload=body.encode())
            case "states":
                self._client("stepfunctions", region, role).start_execution(stateMachineArn=arn, input=body)
            case "sns":
                self._client("sns", region, role).publish(TopicArn=arn, Message=body)
            case "sqs":
                send_to_queue(arn, body)
            case other:
                raise UnknownTargetError(f"the sandbox does not reach targets of {other}: {arn}")

    def _client(self, service: str, region: str, role: str | None) -> Any:
        """A schedule acts under its role; a rule reaches a function by the function's own permission."""
        if role:
            return self._roles.client(region, service, role)
        with self._lock:
            if (service, region) not in self._admin:
                self._admin[service, region] = self._session.client(service, region_name=region)
            return self._admin[service, region]


def install(targets: Targets) -> Callable[[], None]:
    """Have moto's rules reach their targets. The result takes it back."""
    original = Rule.send_to_targets

    def send_to_targets(self: Any, event: Any, transform_input: bool = True) -> None:
        # moto takes a rule without a pattern for one that matches everything, and asks no rule whether it is enabled.
        if self.state != "ENABLED" or not self.event_pattern.get_pattern():
            return
        if self.event_pattern.matches_event(event):
            delivered = _as_delivered(event)
            for target in self.targets:
                targets.deliver(target, _body(target, delivered) if transform_input else json.dumps(delivered))

    Rule.send_to_targets = send_to_targets

    def take_back() -> None:
        Rule.send_to_targets = original

    return take_back


def _as_delivered(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as targets see it: its time in ISO 8601, and nothing of moto's own."""
    delivered = {name: value for name, value in event.items() if name != "ingestion-time"}
    if isinstance(delivered["time"], int | float):
        delivered["time"] = datetime.fromtimestamp(delivered["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return delivered


def _body(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    if "Input" in target:
        return str(target["Input"])
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        values = {name: _at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
        values["aws.events.event"] = event
        return _filled(str(transformer["InputTemplate"]), values)
    return json.dumps(_at(event, str(target.get("InputPath", "$"))))


def _at(event: Mapping[str, Any], path: str) -> Any:
    """What a path of names, `$.detail.status`, finds; None when nothing is there."""
    found: Any = event
    for part in path.removeprefix("$").strip(".").split("."):
        if part:
            found = found.get(part) if isinstance(found, dict) else None
    return found


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """A placeholder in quotes becomes text, one outside of them JSON (EventBridge guide, input transformation)."""

    def text(match: re.Match[str]) -> str:
        value = values.get(match[1], "")
        return (value if isinstance(value, str) else json.dumps(value)).replace("\\", "\\\\").replace('"', '\\"')

    def fill(match: re.Match[str]) -> str:
        part = match[0]
        return _PLACEHOLDER.sub(text, part) if part.startswith('"') else json.dumps(values.get(part[1:-1]))

    return _TEMPLATE_PART.sub(fill, template)


def put_execution_status(regions: Iterable[str]) -> Callable[[ExecutionStatus], None]:
    """What Step Functions puts on its Region's default bus when an execution's status changes.

    The detail's fields are those of the Step Functions guide, "Automating Step Functions event delivery".
    """
    session: Any = new_session()
    clients = {region: session.client("events", region_name=region) for region in regions}

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
        clients[status.execution_arn.split(":")[3]].put_events(Entries=[entry])

    return put


class Ticker:
    """Fires EventBridge Scheduler's schedules in real time: a new one at once, then at its rate and in its own phase.

    AWS invokes a target at any time within the minute that it is due in ("Schedule types in EventBridge Scheduler"), so
    the schedules of a fleet do not meet in one second; here each has its second of the minute by its name.
    A schedule's name means that of the first of the Regions, unless another Region is named.
    """

    def __init__(self, regions: Sequence[str], targets: Targets) -> None:
        self._regions = tuple(regions)
        self._targets = targets
        self._due: dict[tuple[str, str], float] = {}
        self._paused: set[tuple[str, str]] = set()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, first_after_seconds: float = 0.0) -> None:
        """Begin to fire. Does nothing when it has begun."""
        if self._thread is None:
            begin = time.monotonic() + first_after_seconds
            self._thread = threading.Thread(target=self._run, args=(begin,), name="ticker", daemon=True)
            self._thread.start()

    def fire(self, name: str, region: str | None = None) -> None:
        """Fire a schedule now, out of turn. Raises KeyError when there is none of that name."""
        self._fire(self._schedules()[region or self._regions[0], name])

    def pause(self, name: str, region: str | None = None) -> None:
        """Do not fire this schedule until it is resumed."""
        self._paused.add((region or self._regions[0], name))

    def resume(self, name: str, region: str | None = None) -> None:
        """Fire it again at its rate."""
        self._paused.discard((region or self._regions[0], name))

    def stop(self) -> None:
        """Fire no more. May be called again."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _schedules(self) -> dict[tuple[str, str], Any]:
        backends = scheduler_backends[DEFAULT_ACCOUNT_ID]
        return {
            (region, name): schedule
            for region in self._regions
            for group in list(backends[region].schedule_groups.values())
            for name, schedule in list(group.schedules.items())
        }

    def _run(self, begin: float) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            now, schedules = time.monotonic(), self._schedules()
            self._due = {key: due for key, due in self._due.items() if key in schedules}
            for key, schedule in schedules.items():
                if schedule.state != "ENABLED" or key in self._paused or now < self._due.get(key, begin):
                    continue
                try:
                    wait = period(schedule) * (1.0 if key in self._due else phase(*key))
                    self._due[key] = max(self._due.get(key, now), now - _TICK_SECONDS) + wait
                except ValueError:
                    logger.exception("a schedule never fires: %s", key)
                    self._due[key] = math.inf
                else:
                    self._fire(schedule)

    def _fire(self, schedule: Any) -> None:
        target = schedule.target
        self._targets.deliver(target, str(target.get("Input") or "{}"), buried_by=target.get("RoleArn"))


def phase(region: str, name: str) -> float:
    """The part of its period, between a fifth and all of it, that a schedule waits after its first firing."""
    return 0.2 + 0.8 * zlib.crc32(f"{region}/{name}".encode()) / 0xFFFF_FFFF


def period(schedule: Any) -> float:
    """Seconds between two firings. Raises ValueError for an expression that is no rate."""
    if _WEEKLY.fullmatch(schedule.schedule_expression):
        return 7 * _UNITS["day"]
    found = _RATE.fullmatch(schedule.schedule_expression)
    if found is None:
        raise ValueError(f"the sandbox fires no {schedule.schedule_expression} ({schedule.name})")
    return int(found[1]) * _UNITS[found[2]]
