"""ModelTable on DynamoDB: what is written is read, and of two writers one has to read again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.aws.model_table import ModelTable
from standfast.errors import ConflictError, CorruptStateError
from standfast.model_states import ModelRecord, ModelState
from tests.builders import NOW, SCOPE

NEW = ModelRecord(
    "org/llama", "v7", ModelState.REGISTERED, "0" * 64, SCOPE, "its manifest was written", NOW, 520_000, 3
)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> ModelTable:
    return ModelTable(state_table, SCOPE, dynamodb)


def test_nothing_is_known_of_a_model_that_never_was_here(table: ModelTable) -> None:
    assert table.read_model("org/llama", "v7") is None
    assert table.models() == []


def test_what_is_written_is_read_with_a_revision_one_higher(table: ModelTable) -> None:
    written = table.write_model(NEW)
    assert written == replace(NEW, revision=1)
    assert table.read_model("org/llama", "v7") == written
    live = table.write_model(written.verified("all is there", NOW + 1.5).live("version 4 points at it", NOW + 2))
    assert table.models() == [live]
    assert (live.verified_at, live.live_since, live.revision) == (NOW + 1.5, NOW + 2, 2)


def test_a_version_without_a_name_is_one_of_its_own(table: ModelTable) -> None:
    table.write_model(replace(NEW, version=None, bytes=7))
    table.write_model(NEW)
    found = table.read_model("org/llama", None)
    assert found is not None
    assert found.bytes == 7
    assert len(table.models()) == 2


def test_each_region_has_its_own_states(table: ModelTable, dynamodb: Any, state_table: str) -> None:
    table.write_model(NEW)
    assert ModelTable(state_table, "eu-west-1", dynamodb).models() == []


def test_who_wrote_later_must_have_read_what_was_written_before(table: ModelTable) -> None:
    first = table.write_model(NEW)
    table.write_model(first.replicating("a shard is missing", NOW + 1))
    for stale in (NEW, first.verified("all is there", NOW + 1)):
        with pytest.raises(ConflictError, match="no longer at revision"):
            table.write_model(stale)


def test_a_model_that_cannot_be_understood_is_refused_by_name(
    table: ModelTable, dynamodb: Any, state_table: str
) -> None:
    table.write_model(NEW)
    dynamodb.update_item(
        TableName=state_table,
        Key={"pk": {"S": f"{SCOPE}#MODELS"}, "sk": {"S": '["org/llama", "v7"]'}},
        UpdateExpression="SET #state = :odd",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":odd": {"S": "half"}},
    )
    with pytest.raises(CorruptStateError, match="org/llama v7"):
        table.models()
