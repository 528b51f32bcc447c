"""What the judge of a release found, in the state table: the partition `<scope>#JUDGE`, an item a stage.

DynamoDB forgets a stage a month after its last look, by the table's TTL.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import ConflictError
from standfast.judge import Share, StageEvidence, Time

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.sequential import Wealth

KEPT_SECONDS = 30 * 86_400


class JudgeTable(Table):
    """JudgeStore on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#JUDGE"

    def read_evidence(self, version: int) -> StageEvidence:
        item = self._get(self._partition, _name(version))
        if item is None:
            return StageEvidence()
        with reading(f"JUDGE {version}"):
            return StageEvidence(
                looks=int(item["looks"]),
                shares={name: _share(found) for name, found in item["shares"].items()},
                times={name: _time(found) for name, found in item["times"].items()},
            )

    def write_evidence(self, version: int, evidence: StageEvidence, *, token: int, now: float) -> None:
        item = {**asdict(evidence), "token": token, "expires_at": int(now) + KEPT_SECONDS}
        seen = evidence.looks - 1
        name = _name(version)
        if seen == 0:
            written = self._put_new(self._partition, name, item)
        else:
            condition = "#token = :token AND looks = :seen"
            values = {":token": token, ":seen": seen}
            written = self._put_if(self._partition, name, item, condition, values, names={"#token": "token"})
        if not written:
            raise ConflictError(
                f"somebody else judged the stage of version {version} meanwhile; read it and look again"
            )


def _name(version: int) -> str:
    return f"{version:012d}"


def _share(found: dict[str, Any]) -> Share:
    return Share(
        pairs=int(found["pairs"]),
        canary_hits=int(found["canary_hits"]),
        stable_hits=int(found["stable_hits"]),
        worse=_wealth(found["worse"]),
        good=_wealth(found["good"]),
    )


def _time(found: dict[str, Any]) -> Time:
    return Time(
        pairs=int(found["pairs"]),
        canary_logs=float(found["canary_logs"]),
        stable_logs=float(found["stable_logs"]),
        worse=_wealth(found["worse"]),
        good=_wealth(found["good"]),
    )


def _wealth(found: list[float]) -> Wealth:
    return tuple(float(each) for each in found)
