"""The API of Run Command for moto, which has no output and no ListCommandInvocations: see `sandbox.aws.run_command`.

Output is cut where AWS cuts it: GetCommandInvocation gives 24,000 characters, ListCommandInvocations 2,500.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.run_command import Command, Invocation, RunCommand

OUTPUT_CHARACTERS: Final = 24_000
LISTED_CHARACTERS: Final = 2_500
ERROR_CHARACTERS: Final = 8_000
CUT: Final = "\n---Output truncated---"
_ACTIONS: Final = ("send_command", "list_commands", "list_command_invocations", "get_command_invocation")


def install(run_command: RunCommand) -> Callable[[], None]:
    """Puts Run Command in moto's place. The result takes it back."""
    api = _Api(run_command)
    originals = {action: getattr(SimpleSystemManagerResponse, action, None) for action in _ACTIONS}
    for action in _ACTIONS:
        setattr(SimpleSystemManagerResponse, action, _action(run_command, getattr(api, action)))

    def take_back() -> None:
        for action, original in originals.items():
            if original is None:
                delattr(SimpleSystemManagerResponse, action)
            else:
                setattr(SimpleSystemManagerResponse, action, original)

    return take_back


def _action(run_command: RunCommand, answer: Callable[..., Any]) -> Callable[[Any], Any]:
    def handle(request: Any) -> Any:
        run_command.check_available(request.region)
        return ActionResult(answer(request.current_account, request.region, json.loads(request.body)))

    return handle


class _Api:
    """The four actions: what they take and give is as in the API reference."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    def send_command(self, account: str, region: str, given: Mapping[str, Any]) -> Any:
        return {"Command": _described(self._run_command.send(account, region, given))}

    def list_commands(self, _account: str, region: str, given: Mapping[str, Any]) -> Any:
        return {"Commands": [_described(self._run_command.command(region, given["CommandId"]))]}

    def list_command_invocations(self, _account: str, region: str, given: Mapping[str, Any]) -> Any:
        command = self._run_command.command(region, given["CommandId"])
        wanted = given.get("InstanceId")
        invocations = [each for each in command.invocations if wanted in (None, each.instance_id)]
        details = bool(given.get("Details"))
        return {"CommandInvocations": [_listed(command, each, details=details) for each in invocations]}

    def get_command_invocation(self, _account: str, region: str, given: Mapping[str, Any]) -> Any:
        command = self._run_command.command(region, given["CommandId"])
        for each in command.invocations:
            if each.instance_id == given["InstanceId"]:
                return {
                    "CommandId": command.command_id, "InstanceId": each.instance_id, "DocumentName": command.document,
                    "PluginName": "aws:runShellScript", "Status": each.status, "StatusDetails": each.details,
                    "ResponseCode": each.response_code, "StandardOutputContent": _cut(each.output, OUTPUT_CHARACTERS),
                    "StandardErrorContent": _cut(each.errors, ERROR_CHARACTERS),
                }  # fmt: skip
        raise JsonRESTError("InvocationDoesNotExist", "")


def _described(command: Command) -> dict[str, Any]:
    status, ended = _status(command), [each for each in command.invocations if _has_ended(each)]
    return {
        "CommandId": command.command_id, "DocumentName": command.document, "Targets": command.targets,
        "RequestedDateTime": command.requested_at, "Status": status, "StatusDetails": status,
        "TargetCount": len(command.invocations), "CompletedCount": len(ended),
    }  # fmt: skip


def _status(command: Command) -> str:
    """MaxErrors is not counted here: a command of which some failed has succeeded, as with MaxErrors 100%."""
    if not command.found:
        return "Pending"
    return "Success" if all(map(_has_ended, command.invocations)) else "InProgress"


def _has_ended(invocation: Invocation) -> bool:
    return invocation.status not in ("Pending", "InProgress")


def _listed(command: Command, invocation: Invocation, *, details: bool) -> dict[str, Any]:
    plugin = {
        "Name": "aws:runShellScript", "Status": invocation.status, "StatusDetails": invocation.details,
        "ResponseCode": invocation.response_code, "Output": _cut(invocation.output, LISTED_CHARACTERS),
    }  # fmt: skip
    return {
        "CommandId": command.command_id, "InstanceId": invocation.instance_id, "DocumentName": command.document,
        "RequestedDateTime": command.requested_at, "Status": invocation.status, "StatusDetails": invocation.details,
        "CommandPlugins": [plugin] if details else [],
    }  # fmt: skip


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - len(CUT)] + CUT
