"""Questions to people, in the state table: the partition `<scope>#QUESTIONS`, an item a question.

DynamoDB forgets them a month after they closed, by the table's TTL.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.questions import Question

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 30 * 86_400


class QuestionTable(Table):
    """QuestionStore on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#QUESTIONS"

    def write_question(self, question: Question) -> None:
        item = {**asdict(question), "expires_at": question.closes_at + KEPT_SECONDS}
        self._put(self._partition, question.question_id, item)

    def read_question(self, question_id: str) -> Question | None:
        item = self._get(self._partition, question_id)
        if item is None:
            return None
        with reading(f"QUESTIONS {question_id}"):
            decided_at = item.get("decided_at")
            return Question(
                question_id=item["question_id"],
                task_token=item["task_token"],
                text=item["text"],
                asked_at=float(item["asked_at"]),
                closes_at=int(item["closes_at"]),
                decision=item["decision"],
                decided_at=None if decided_at is None else float(decided_at),
                delivered=bool(item["delivered"]),
            )

    def write_decision(self, question_id: str, decision: str, *, now: float) -> bool:
        refused = self._update(
            self._partition,
            question_id,
            "SET decision = :decision, decided_at = :now",
            {":decision": decision, ":now": now, ":open": None},
            condition="decision = :open AND closes_at > :now",
        )
        return refused is None

    def mark_delivered(self, question_id: str) -> None:
        self._update(
            self._partition,
            question_id,
            "SET delivered = :yes",
            {":yes": True},
            condition="attribute_exists(pk)",
        )
