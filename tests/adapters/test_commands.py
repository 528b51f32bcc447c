"""Node reports by Run Command. How a script really runs on a node is in tests/sandbox/test_run_command.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from standfast.aws import commands
from standfast.aws.commands import NodeReportCommands
from standfast.errors import AccessDeniedError, StandfastError, ThrottledError, UnavailableError
from standfast.node_reports import NodeAnswer
from tests.builders import ACTIVE, STANDBY

DOCUMENT = "chat-node-report"
COMMANDS = {ACTIVE: "11111111-1111-1111-1111-111111111111", STANDBY: "22222222-2222-2222-2222-222222222222"}
NODES = ["i-0000000000000000a", "i-0000000000000000b"]


@pytest.fixture
def stubbed() -> Iterator[tuple[NodeReportCommands, Stubber]]:
    client: Any = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield NodeReportCommands(DOCUMENT, client), stubber
        stubber.assert_no_pending_responses()


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stubber answers in the order of its list."""
    monkeypatch.setattr(commands, "CALLS_AT_ONCE", 1)


def sent(stubber: Stubber, cluster_id: str) -> None:
    expected = {
        "DocumentName": DOCUMENT,
        "Targets": [{"Key": "tag:standfast:cluster", "Values": [cluster_id]}],
        "TimeoutSeconds": 30,
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
    }
    stubber.add_response("send_command", {"Command": {"CommandId": COMMANDS[cluster_id]}}, expected)


def listed(stubber: Stubber, cluster_id: str, status: str, *invocations: tuple[str, str, str]) -> None:
    command = COMMANDS[cluster_id]
    stubber.add_response("list_commands", {"Commands": [{"CommandId": command, "Status": status}]})
    found = [
        {"CommandId": command, "InstanceId": node, "Status": its, "StatusDetails": details}
        for node, its, details in invocations
    ]
    stubber.add_response("list_command_invocations", {"CommandInvocations": found}, {"CommandId": command})


def read(stubber: Stubber, cluster_id: str, node: str, text: str) -> None:
    stubber.add_response(
        "get_command_invocation",
        {"InstanceId": node, "Status": "Success", "StandardOutputContent": text},
        {"CommandId": COMMANDS[cluster_id], "InstanceId": node},
    )


def test_each_cluster_is_asked_by_its_tag_with_our_own_document(
    stubbed: tuple[NodeReportCommands, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, stubber = stubbed
    one_at_a_time(monkeypatch)
    sent(stubber, ACTIVE)
    sent(stubber, STANDBY)
    assert reports.request([ACTIVE, STANDBY]) == COMMANDS


def test_the_answers_of_all_clusters_are_collected(
    stubbed: tuple[NodeReportCommands, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, stubber = stubbed
    one_at_a_time(monkeypatch)
    for cluster_id, node in zip(COMMANDS, NODES, strict=True):
        listed(stubber, cluster_id, "Success", (node, "Success", "Success"))
    for cluster_id, node in zip(COMMANDS, NODES, strict=True):
        read(stubber, cluster_id, node, f"the report of {node}")
    found = reports.collect(COMMANDS)
    assert found.done
    assert found.nodes == {
        ACTIVE: {NODES[0]: NodeAnswer(f"the report of {NODES[0]}")},
        STANDBY: {NODES[1]: NodeAnswer(f"the report of {NODES[1]}")},
    }


def test_what_was_read_is_not_asked_for_again_until_other_commands_are_collected(
    stubbed: tuple[NodeReportCommands, Stubber],
) -> None:
    reports, stubber = stubbed
    one = {ACTIVE: COMMANDS[ACTIVE]}
    for its in ("first", "second", "third"):
        if its == "third":
            listed(stubber, STANDBY, "Success")
            reports.collect({STANDBY: COMMANDS[STANDBY]})
        listed(stubber, ACTIVE, "Success", (NODES[0], "Success", "Success"))
        if its != "second":
            read(stubber, ACTIVE, NODES[0], f"the {its} reading")
        answer = reports.collect(one).nodes[ACTIVE][NODES[0]]
        assert answer.text == ("the third reading" if its == "third" else "the first reading")


def test_a_node_that_is_throttled_keeps_no_other_from_being_read_and_is_asked_for_again(
    stubbed: tuple[NodeReportCommands, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, stubber = stubbed
    one_at_a_time(monkeypatch)
    well = [(node, "Success", "Success") for node in NODES]
    listed(stubber, ACTIVE, "Success", *well)
    stubber.add_client_error("get_command_invocation", "ThrottlingException", "Rate exceeded", 400)
    read(stubber, ACTIVE, NODES[1], "its report")
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    busy = NodeAnswer(None, "no answer yet (Systems Manager has too many calls)")
    assert (found.done, found.nodes[ACTIVE]) == (False, {NODES[0]: busy, NODES[1]: NodeAnswer("its report")})
    listed(stubber, ACTIVE, "Success", *well)
    read(stubber, ACTIVE, NODES[0], "late")
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    assert (found.done, found.nodes[ACTIVE][NODES[0]]) == (True, NodeAnswer("late"))


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Cancelling"])
def test_a_command_that_goes_on_is_not_done(stubbed: tuple[NodeReportCommands, Stubber], status: str) -> None:
    reports, stubber = stubbed
    listed(stubber, ACTIVE, status, (NODES[0], "InProgress", "InProgress"))
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    assert not found.done
    assert found.nodes[ACTIVE] == {NODES[0]: NodeAnswer(None, "no answer yet (InProgress)")}


def test_one_command_that_goes_on_keeps_all_from_being_done(
    stubbed: tuple[NodeReportCommands, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, stubber = stubbed
    one_at_a_time(monkeypatch)
    listed(stubber, ACTIVE, "InProgress")
    listed(stubber, STANDBY, "Success")
    assert not reports.collect(COMMANDS).done


@pytest.mark.parametrize(
    ("status", "details"),
    [
        ("TimedOut", "DeliveryTimedOut"),
        ("TimedOut", "ExecutionTimedOut"),
        ("Failed", "Failed"),
        ("Cancelled", "Terminated"),
    ],
)
def test_a_node_that_did_not_answer_has_the_reason_in_systems_managers_words(
    stubbed: tuple[NodeReportCommands, Stubber], status: str, details: str
) -> None:
    reports, stubber = stubbed
    listed(stubber, ACTIVE, "TimedOut", (NODES[0], status, details), (NODES[1], "Success", "Success"))
    read(stubber, ACTIVE, NODES[1], "its report")
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    assert found.done
    assert found.nodes[ACTIVE] == {
        NODES[0]: NodeAnswer(None, f"Systems Manager says: {details}"),
        NODES[1]: NodeAnswer("its report"),
    }


def test_an_invocation_that_does_not_exist_yet_is_no_error(stubbed: tuple[NodeReportCommands, Stubber]) -> None:
    reports, stubber = stubbed
    listed(stubber, ACTIVE, "InProgress", (NODES[0], "Success", "Success"))
    stubber.add_client_error("get_command_invocation", "InvocationDoesNotExist", "", 400)
    answer = reports.collect({ACTIVE: COMMANDS[ACTIVE]}).nodes[ACTIVE][NODES[0]]
    assert (answer.text, answer.reason) == (None, "no answer yet (listed, and not there to be read)")


def test_a_command_that_is_not_known_yet_is_not_done_and_no_error(stubbed: tuple[NodeReportCommands, Stubber]) -> None:
    reports, stubber = stubbed
    for operation in ("list_commands", "list_command_invocations"):
        stubber.add_client_error(operation, "InvalidCommandId", "", 400)
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    assert (found.done, found.nodes) == (False, {ACTIVE: {}})


def test_every_page_of_a_large_cluster_is_read(stubbed: tuple[NodeReportCommands, Stubber]) -> None:
    reports, stubber = stubbed
    command = {"CommandId": COMMANDS[ACTIVE]}
    stubber.add_response("list_commands", {"Commands": [{**command, "Status": "InProgress"}]})
    for node, more in ((NODES[0], {"NextToken": "second"}), (NODES[1], {})):
        page = {"CommandInvocations": [{**command, "InstanceId": node, "Status": "Pending"}], **more}
        stubber.add_response("list_command_invocations", page)
    found = reports.collect({ACTIVE: COMMANDS[ACTIVE]}).nodes[ACTIVE]
    assert found == dict.fromkeys(NODES, NodeAnswer(None, "no answer yet (Pending)"))


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("send_command", "SendCommand to use1-a"),
        ("list_commands", "ListCommands 1111"),
        ("list_command_invocations", "ListCommandInvocations 1111"),
        ("get_command_invocation", f"GetCommandInvocation {NODES[0]}"),
    ],
)
@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, ThrottledError),
        ("InternalServerError", 500, UnavailableError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("InvalidDocument", 400, StandfastError),
    ],
)
def test_a_call_that_fails_is_an_error_by_name(
    stubbed: tuple[NodeReportCommands, Stubber],
    operation: str, name: str, code: str, status: int, error: type[StandfastError],
) -> None:  # fmt: skip
    if (operation, error) == ("get_command_invocation", ThrottledError):
        pytest.skip("a node that is throttled is asked for again")
    reports, stubber = stubbed
    if operation == "send_command":
        stubber.add_client_error(operation, code, "as AWS says it", status)
        with pytest.raises(error, match=f"{name}.*{code}") as caught:
            reports.request([ACTIVE])
    else:
        command = {"CommandId": COMMANDS[ACTIVE]}
        listing = {"CommandInvocations": [{**command, "InstanceId": NODES[0], "Status": "Success"}]}
        before = {
            "list_commands": {"Commands": [{**command, "Status": "Success"}]},
            "list_command_invocations": listing,
            "get_command_invocation": {},
        }
        for each, answer in before.items():
            if each == operation:
                stubber.add_client_error(each, code, "as AWS says it", status)
                break
            stubber.add_response(each, answer)
        with pytest.raises(error, match=f"{name}.*{code}") as caught:
            reports.collect({ACTIVE: COMMANDS[ACTIVE]})
    assert type(caught.value) is error


def test_no_answer_at_all_is_unavailable(
    stubbed: tuple[NodeReportCommands, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(**_arguments: object) -> None:
        raise ConnectTimeoutError(endpoint_url="https://ssm")

    reports, _ = stubbed
    monkeypatch.setattr(reports._client, "send_command", no_answer)
    with pytest.raises(UnavailableError, match="SendCommand to use1-a: no answer"):
        reports.request([ACTIVE])
