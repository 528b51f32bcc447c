"""JudgeTable on DynamoDB: no look counts twice, and none under another token."""

from __future__ import annotations

import random
from typing import Any

import pytest

from standfast.aws.judge_table import KEPT_SECONDS, JudgeTable
from standfast.errors import ConflictError, CorruptStateError
from standfast.judge import Pair, Sample, StageEvidence, look
from standfast.rollout_rules import RolloutRules
from tests.builders import NOW, SCOPE

RULES = RolloutRules()
KEY = {"pk": {"S": f"{SCOPE}#JUDGE"}, "sk": {"S": "000000000008"}}


def evidence(before: StageEvidence | None = None, seed: int = 1) -> StageEvidence:
    """One look more."""
    chance = random.Random(seed)  # noqa: S311 - no secret

    def sample() -> Sample:
        return Sample(chance.random() < 0.1, chance.random() < 0.1, False, chance.random(), chance.random())

    pairs = [Pair(name, sample(), sample()) for name in ("short", "long") for _ in range(6)]
    return look(before or StageEvidence(), pairs, RULES, stages=3, warm=True)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> JudgeTable:
    return JudgeTable(state_table, SCOPE, dynamodb)


def test_where_nobody_looked_yet_there_is_nothing(table: JudgeTable) -> None:
    assert table.read_evidence(8) == StageEvidence()


def test_what_is_kept_is_read_back_to_the_last_digit(table: JudgeTable) -> None:
    first = evidence()
    table.write_evidence(8, first, token=3, now=NOW)
    assert table.read_evidence(8) == first
    second = evidence(first, seed=2)
    table.write_evidence(8, second, token=3, now=NOW + 5)
    assert table.read_evidence(8) == second
    assert table.read_evidence(9) == StageEvidence()


def test_of_two_that_looked_at_once_one_counts(table: JudgeTable) -> None:
    table.write_evidence(8, evidence(), token=3, now=NOW)
    with pytest.raises(ConflictError, match="version 8"):
        table.write_evidence(8, evidence(seed=2), token=3, now=NOW)
    first = table.read_evidence(8)
    table.write_evidence(8, evidence(first, seed=3), token=3, now=NOW)
    with pytest.raises(ConflictError):
        table.write_evidence(8, evidence(first, seed=4), token=3, now=NOW)
    assert table.read_evidence(8) == evidence(first, seed=3)


def test_whoever_holds_another_token_adds_nothing(table: JudgeTable) -> None:
    first = evidence()
    table.write_evidence(8, first, token=3, now=NOW)
    with pytest.raises(ConflictError):
        table.write_evidence(8, evidence(first, seed=2), token=2, now=NOW)
    assert table.read_evidence(8) == first


def test_dynamodb_forgets_a_stage_a_month_after_its_last_look(
    table: JudgeTable, dynamodb: Any, state_table: str
) -> None:
    table.write_evidence(8, evidence(), token=3, now=NOW)
    assert int(dynamodb.get_item(TableName=state_table, Key=KEY)["Item"]["expires_at"]["N"]) == NOW + KEPT_SECONDS


def test_what_cannot_be_understood_is_refused(table: JudgeTable, dynamodb: Any, state_table: str) -> None:
    table.write_evidence(8, evidence(), token=3, now=NOW)
    dynamodb.update_item(TableName=state_table, Key=KEY, UpdateExpression="REMOVE shares")
    with pytest.raises(CorruptStateError, match="JUDGE 8"):
        table.read_evidence(8)
