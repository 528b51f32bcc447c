"""QuestionTable on DynamoDB, and the key that signs links on KMS: what was decided once stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.executions import TaskCallbacks
from standfast.aws.link_signer import LinkSigner
from standfast.aws.question_table import KEPT_SECONDS, QuestionTable
from standfast.errors import AccessDeniedError, CorruptStateError
from standfast.questions import ABORT, APPROVE, Question
from tests.builders import NOW, SCOPE

QUESTION = Question("0123456789abcdef0123456789abcdef", "token-1", "shift?", NOW, int(NOW) + 60)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> QuestionTable:
    found = QuestionTable(state_table, SCOPE, dynamodb)
    found.write_question(QUESTION)
    return found


def test_a_question_is_read_back_and_there_is_none_but_it(table: QuestionTable) -> None:
    assert table.read_question(QUESTION.question_id) == QUESTION
    assert table.read_question("another") is None


def test_the_first_decision_stays(table: QuestionTable) -> None:
    assert table.write_decision(QUESTION.question_id, APPROVE, now=NOW + 1)
    assert not table.write_decision(QUESTION.question_id, ABORT, now=NOW + 2)
    found = table.read_question(QUESTION.question_id)
    assert found == replace(QUESTION, decision=APPROVE, decided_at=NOW + 1)


def test_a_decision_after_the_end_is_refused(table: QuestionTable) -> None:
    assert not table.write_decision(QUESTION.question_id, APPROVE, now=QUESTION.closes_at)


def test_a_question_that_is_not_there_is_not_made_by_an_answer(table: QuestionTable) -> None:
    assert not table.write_decision("another", APPROVE, now=NOW)
    table.mark_delivered("another")
    assert table.read_question("another") is None


def test_a_question_that_is_asked_again_is_open_again(table: QuestionTable) -> None:
    table.write_decision(QUESTION.question_id, APPROVE, now=NOW + 1)
    table.mark_delivered(QUESTION.question_id)
    table.write_question(replace(QUESTION, task_token="token-2"))
    assert table.read_question(QUESTION.question_id) == replace(QUESTION, task_token="token-2")


def test_dynamodb_forgets_a_question_a_month_after_its_end(
    table: QuestionTable, dynamodb: Any, state_table: str
) -> None:
    key = {"pk": {"S": f"{SCOPE}#QUESTIONS"}, "sk": {"S": QUESTION.question_id}}
    item = dynamodb.get_item(TableName=state_table, Key=key)["Item"]
    assert int(item["expires_at"]["N"]) == QUESTION.closes_at + KEPT_SECONDS


def test_a_question_that_cannot_be_understood_is_refused(table: QuestionTable, dynamodb: Any, state_table: str) -> None:
    key = {"pk": {"S": f"{SCOPE}#QUESTIONS"}, "sk": {"S": QUESTION.question_id}}
    dynamodb.update_item(TableName=state_table, Key=key, UpdateExpression="REMOVE task_token")
    with pytest.raises(CorruptStateError, match="QUESTIONS"):
        table.read_question(QUESTION.question_id)


def test_only_the_key_that_signed_verifies(aws: str) -> None:
    kms: Any = boto3.client("kms", region_name=aws)
    ours, other = (
        LinkSigner(kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"], kms)
        for _ in range(2)
    )
    signature = ours.sign(b"a link")
    assert len(signature) == 32
    assert ours.verify(b"a link", signature)
    assert not ours.verify(b"another link", signature)
    assert not ours.verify(b"a link", b"x" * 32)
    assert not other.verify(b"a link", signature)


@pytest.fixture
def stubbed() -> Iterator[tuple[TaskCallbacks, Stubber]]:
    client: Any = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    with Stubber(client) as stubber:
        yield TaskCallbacks(client), stubber


def test_an_answer_is_handed_to_the_task_that_waits(stubbed: tuple[TaskCallbacks, Stubber]) -> None:
    callbacks, stubber = stubbed
    stubber.add_response("send_task_success", {}, {"taskToken": "t", "output": '{"approved": true}'})
    assert callbacks.succeed("t", {"approved": True})


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_that_nobody_waits_any_more_is_no_error(stubbed: tuple[TaskCallbacks, Stubber], code: str) -> None:
    callbacks, stubber = stubbed
    stubber.add_client_error("send_task_success", code)
    assert not callbacks.succeed("t", {})


def test_a_permission_that_is_missing_is_named(stubbed: tuple[TaskCallbacks, Stubber]) -> None:
    callbacks, stubber = stubbed
    stubber.add_client_error("send_task_success", "AccessDeniedException", "states:SendTaskSuccess")
    with pytest.raises(AccessDeniedError, match="states:SendTaskSuccess"):
        callbacks.succeed("t", {})
