"""Systems Manager Run Command: a document's script really runs, with bash, in the shell of each node.

moto takes a command, says that it succeeded and gives no output. Here a command is sent by instance id or by tag, its
invocations appear a moment later, and each has a status of its own, as the user guide tells ("Understanding command
statuses"). An instance without a shell is one that no agent runs on: a command by tag passes it over. How
AWS is asked about all this is in `sandbox.aws.ssm`.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import JsonRESTError
from moto.ec2.models import ec2_backends
from moto.ssm.models import ssm_backends

from sandbox.aws.latency import SSM_COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.latency import LatencyInjector
    from sandbox.fleet.shell import NodeShell, Ran

SCRIPTS_AT_ONCE: Final = 8
REBOOT_STATUS: Final = 194
"""The agent reboots the machine and runs the script again."""
_MOST_REBOOTS: Final = 3
_PARAMETER: Final = re.compile(r"\{\{ *(\w+) *\}\}")
_DEFAULT_SECONDS: Final = 3600


@dataclass(slots=True)
class Invocation:
    """A command on one node. `details` is AWS's StatusDetails."""

    instance_id: str
    status: str = "Pending"
    details: str = "Pending"
    response_code: int = -1
    output: str = ""
    errors: str = ""

    def become(self, status: str, details: str = "", response_code: int = -1) -> None:
        """The next status."""
        self.status, self.details, self.response_code = status, details or status, response_code


@dataclass(slots=True)
class Command:
    """What SendCommand made. `invocations` is empty until the targets are found, `expires_at` on `time.monotonic`."""

    command_id: str
    document: str
    requested_at: datetime
    expires_at: float
    targets: list[dict[str, Any]]
    invocations: list[Invocation] = field(default_factory=list)
    found: bool = False


class RunCommand:
    """Run Command in all Regions of a cloud. Safe to use from several threads."""

    def __init__(self, latency: LatencyInjector) -> None:
        self._latency = latency
        self._lock = threading.RLock()
        self._shells: dict[str, Callable[[str], NodeShell | None]] = {}
        self._commands: dict[str, dict[str, Command]] = {}
        self._busy: set[NodeShell] = set()
        self._lost: set[str] = set()
        self._away: set[str] = set()
        self._pool = ThreadPoolExecutor(SCRIPTS_AT_ONCE, thread_name_prefix="run-command")
        self._closed = False

    # What a scenario does

    def reach(self, region: str, shell: Callable[[str], NodeShell | None]) -> None:
        """In this Region an instance's agent runs scripts in that shell; None: no agent runs there."""
        self._shells[region] = shell

    def lose(self, *instance_ids: str) -> None:
        """These nodes answer no command any more: it is in progress until it expires."""
        with self._lock:
            self._lost |= set(instance_ids)

    def take_away(self, region: str) -> None:
        """Every call in this Region fails, as in an outage of the service."""
        with self._lock:
            self._away.add(region)

    def restore(self) -> None:
        """Nothing is lost or away any more. What was lost stays so."""
        with self._lock:
            self._lost.clear()
            self._away.clear()

    def close(self) -> None:
        """Takes no further command and ends the scripts under way. May be called again."""
        with self._lock:
            self._closed = True
            busy = tuple(self._busy)
        for shell in busy:
            shell.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # What AWS does

    def check_available(self, region: str) -> None:
        """Raises the error of an outage where there is one."""
        with self._lock:
            if region in self._away:
                error = JsonRESTError("InternalServerError", "An error occurred on the server side.")
                error.code = 500
                raise error

    def send(self, account: str, region: str, given: Mapping[str, Any]) -> Command:
        """Takes a command; the scripts run later. Raises InvalidDocument, InvalidInstanceId, ValidationException."""
        step, declared = _script_step(account, region, str(given["DocumentName"]))
        values = _parameters(declared, given.get("Parameters") or {})
        if not 30 <= (delivery := int(given.get("TimeoutSeconds", _DEFAULT_SECONDS))) <= 2_592_000:
            raise JsonRESTError("ValidationException", "timeoutSeconds: at least 30, at most 2592000")
        seconds = float(step["inputs"].get("timeoutSeconds", _DEFAULT_SECONDS))
        reached = self._targets(account, region, given)
        command = Command(
            str(uuid.uuid4()), str(given["DocumentName"]), datetime.now(UTC), time.monotonic() + delivery + seconds,
            list(given.get("Targets", ())),
        )  # fmt: skip
        with self._lock:
            self._commands.setdefault(region, {})[command.command_id] = command
        script = _PARAMETER.sub(lambda found: values[found[1]], "\n".join(step["inputs"]["runCommand"]))
        threading.Thread(
            target=self._deliver, args=(command, region, reached, script, seconds), name="run-command", daemon=True
        ).start()
        return command

    def command(self, region: str, command_id: str) -> Command:
        """A command with its invocations as they are now. Raises InvalidCommandId."""
        with self._lock:
            command = self._commands.get(region, {}).get(command_id)
            if command is None:
                raise JsonRESTError("InvalidCommandId", f"Command-id {command_id} is invalid.")
            if time.monotonic() >= command.expires_at:
                for invocation in command.invocations:
                    if invocation.status in ("Pending", "InProgress"):
                        invocation.become("TimedOut", "DeliveryTimedOut")
            return command

    def _targets(self, account: str, region: str, given: Mapping[str, Any]) -> dict[str, NodeShell]:
        """The instances that a command reaches. By id each must have an agent, by tag those without are passed over."""
        shell = self._shells.get(region, _no_agent)
        ids = [str(name) for name in given.get("InstanceIds", ())]
        named = {name: found for name in ids if (found := shell(name)) is not None}
        if missing := set(ids) - set(named):
            raise JsonRESTError("InvalidInstanceId", f"Instances {sorted(missing)} not in a valid state for account")
        tagged = tagged_instances(account, region, given.get("Targets", ()))
        return named | {name: found for name in tagged if (found := shell(name)) is not None}

    def _deliver(
        self, command: Command, region: str, shells: Mapping[str, NodeShell], script: str, seconds: float
    ) -> None:
        self._latency.sleep(SSM_COMMAND, caller="", detail=command.document, region=region)
        with self._lock:
            command.invocations += [Invocation(name) for name in shells]
            command.found = True
            for invocation in command.invocations:
                invocation.become("InProgress")
                if invocation.instance_id not in self._lost and not self._closed:
                    self._pool.submit(self._run, invocation, shells[invocation.instance_id], script, seconds)

    def _run(self, invocation: Invocation, shell: NodeShell, script: str, seconds: float) -> None:
        with self._lock:
            self._busy.add(shell)
        try:
            ran = shell.run(script, seconds)
            for _ in range(_MOST_REBOOTS):
                if ran.status != REBOOT_STATUS:
                    break
                shell.restart_machine()
                ran = shell.run(script, seconds)
        finally:
            with self._lock:
                self._busy.discard(shell)
        with self._lock:
            if invocation.instance_id not in self._lost:
                _end(invocation, ran)


def _no_agent(_instance_id: str) -> NodeShell | None:
    return None


def _end(invocation: Invocation, ran: Ran) -> None:
    invocation.output, invocation.errors = ran.output, ran.errors
    if ran.status is None:
        invocation.become("TimedOut", "ExecutionTimedOut", 137)
    elif ran.status:
        invocation.become("Failed", response_code=ran.status)
    else:
        invocation.become("Success", response_code=0)


def _script_step(account: str, region: str, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The one aws:runShellScript step of a document, and the parameters that it declares.

    Raises InvalidDocument for what is not understood here.
    """
    documents = ssm_backends[account][region]._documents
    if name not in documents:
        raise JsonRESTError("InvalidDocument", f"Document with name {name} does not exist.")
    content = documents[name].get_default_version().content_json
    steps = content.get("mainSteps", [])
    actions = [step["action"] for step in steps]
    declared = content.get("parameters", {})
    if actions != ["aws:runShellScript"] or any(rules["type"] != "String" for rules in declared.values()):
        raise JsonRESTError("InvalidDocument", f"{name}: only one aws:runShellScript step with texts runs here")
    return steps[0], declared


def _parameters(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Every declared parameter's value. Raises InvalidParameters as AWS does."""
    if unknown := sorted(set(given) - set(declared)):
        raise JsonRESTError("InvalidParameters", f"the document has no {', '.join(unknown)}")
    values: dict[str, str] = {}
    for name, rules in declared.items():
        found = given.get(name) or ([rules["default"]] if "default" in rules else [])
        if len(found) != 1:
            raise JsonRESTError("InvalidParameters", f"{name} is missing")
        if (pattern := rules.get("allowedPattern")) and not re.search(pattern, found[0]):
            raise JsonRESTError("InvalidParameters", f"{name} does not match {pattern}")
        values[name] = found[0]
    return values


def tagged_instances(account: str, region: str, targets: Any) -> list[str]:
    """The running instances that SendCommand's targets mean."""
    if not targets:
        return []
    filters = {target["Key"].replace("InstanceIds", "instance-id"): target["Values"] for target in targets}
    reservations = ec2_backends[account][region].all_reservations(filters=filters)
    return [
        instance.id for reservation in reservations for instance in reservation.instances if instance.state == "running"
    ]
