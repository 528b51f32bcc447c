"""NodeReports on Systems Manager Run Command.

The document is our own and nothing else may be sent, so no permission to run arbitrary commands is needed. Facts are
from "Run Command" in the Systems Manager user guide and its API reference: an invocation has no output until it ended,
GetCommandInvocation gives 24,000 characters of it, ListCommandInvocations 2,500.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import ThrottledError
from standfast.node_reports import Collected, NodeAnswer
from standfast.recovery_ports import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Invocation = Mapping[str, Any]

CLUSTER_TAG: Final = "standfast:cluster"
DELIVERY_SECONDS: Final = 30
"""The least that SendCommand takes; a node that the command does not reach by then is not sent it any more."""
CALLS_AT_ONCE: Final = 8
BUSY: Final = NodeAnswer(None, "no answer yet (Systems Manager has too many calls)")
"""One node that could not be read keeps no other from it: the next round asks for those that are left."""
NOT_THERE: Final = NodeAnswer(None, "no answer yet (listed, and not there to be read)")
_LATER: Final = (BUSY, NOT_THERE)
_MOVING: Final = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})


class NodeReportCommands:
    """Sends the document to the nodes of a cluster by their tag, and reads what they printed."""

    def __init__(self, document: str, client: Any = None) -> None:
        self._document = document
        self._client = client or boto3.client("ssm", config=config(attempts=3))
        self._read: dict[tuple[str, str], NodeAnswer] = {}

    def request(self, cluster_ids: Sequence[str]) -> Mapping[str, str]:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            return dict(zip(cluster_ids, pool.map(self._send, cluster_ids), strict=True))

    def collect(self, commands: Mapping[str, str]) -> Collected:
        # What has ended does not change: what this environment read in an earlier round it does not ask for again.
        self._read = {key: answer for key, answer in self._read.items() if key[0] in commands.values()}
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            listed = dict(zip(commands, pool.map(self._listed, commands.values()), strict=True))
            every = [invocation for _, invocations in listed.values() for invocation in invocations]
            answers = list(pool.map(self._answer, every))
        nodes: dict[str, dict[str, NodeAnswer]] = {cluster_id: {} for cluster_id in commands}
        clusters = [cluster_id for cluster_id, (_, invocations) in listed.items() for _ in invocations]
        for cluster_id, invocation, answer in zip(clusters, every, answers, strict=True):
            nodes[cluster_id][invocation["InstanceId"]] = answer
        done = all(ended for ended, _ in listed.values()) and not any(answer in _LATER for answer in answers)
        return Collected(nodes, done)

    def _listed(self, command_id: str) -> tuple[bool, list[Invocation]]:
        # The command first: what is listed after it ended is all that there will be.
        ended = self._ended(command_id)
        return ended, self._invocations(command_id)

    def _send(self, cluster_id: str) -> str:
        with translated(f"SendCommand to {cluster_id}"):
            answer = self._client.send_command(
                DocumentName=self._document,
                Targets=[{"Key": f"tag:{CLUSTER_TAG}", "Values": [cluster_id]}],
                TimeoutSeconds=DELIVERY_SECONDS,
                # All nodes at once; a node that fails keeps no other from being asked: the default stops at the first.
                MaxConcurrency="100%",
                MaxErrors="100%",
            )
        return str(answer["Command"]["CommandId"])

    def _ended(self, command_id: str) -> bool:
        """Whether no node is still to answer. A command is unknown for a moment after it was sent."""
        with translated(f"ListCommands {command_id}"):
            try:
                found = self._client.list_commands(CommandId=command_id)["Commands"]
            except ClientError as error:
                if error_code(error) != "InvalidCommandId":
                    raise
                found = []
        return bool(found) and found[0]["Status"] not in _MOVING

    def _invocations(self, command_id: str) -> list[Invocation]:
        with translated(f"ListCommandInvocations {command_id}"):
            try:
                pages = self._client.get_paginator("list_command_invocations").paginate(CommandId=command_id)
                return [invocation for page in pages for invocation in page["CommandInvocations"]]
            except ClientError as error:
                if error_code(error) != "InvalidCommandId":
                    raise
                return []

    def _answer(self, invocation: Invocation) -> NodeAnswer:
        """What an invocation printed. One that has ended without success printed no report to rely on."""
        if invocation["Status"] in _MOVING:
            return NodeAnswer(None, f"no answer yet ({_words(invocation)})")
        if invocation["Status"] != "Success":
            return NodeAnswer(None, f"Systems Manager says: {_words(invocation)}")
        key = invocation["CommandId"], invocation["InstanceId"]
        if key in self._read:
            return self._read[key]
        try:
            with translated(f"GetCommandInvocation {key[1]}"):
                try:
                    found = self._client.get_command_invocation(CommandId=key[0], InstanceId=key[1])
                except ClientError as error:
                    if error_code(error) != "InvocationDoesNotExist":
                        raise
                    return NOT_THERE
        except ThrottledError:
            return BUSY
        return self._read.setdefault(key, NodeAnswer(found["StandardOutputContent"]))


def progress_on_one_node(client: Any, command_id: str) -> Progress:
    """How far a command to one node is; at its end the last line that it said, behind the status if that is bad."""
    with translated("ListCommandInvocations"):
        try:
            answer = client.list_command_invocations(CommandId=command_id, Details=True)
        except ClientError as error:
            if error_code(error) != "InvalidCommandId":  # for a moment after it was sent
                raise
            answer = {"CommandInvocations": []}
    found = answer["CommandInvocations"]
    if not found or found[0]["Status"] in _MOVING:
        return Progress(ended=False, said="it is on its way")
    output = "".join(plugin.get("Output", "") for plugin in found[0].get("CommandPlugins", ()))
    lines = [line for line in output.splitlines() if line.strip()]
    said = lines[-1][:200] if lines else "it said nothing"
    failed = found[0]["Status"] != "Success"
    return Progress(ended=True, said=f"{_words(found[0])}: {said}" if failed else said, failed=failed)


def _words(invocation: Invocation) -> str:
    """The status in words; the details tell a time-out of the delivery from one of the script."""
    return str(invocation.get("StatusDetails") or invocation["Status"])
