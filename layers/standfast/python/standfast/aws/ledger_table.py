"""LedgerStore: one partition of the state table, an item an hour.

| pk | sk | item |
|---|---|---|
| <Region>#LEDGER | <UTC hour> | what was counted in it, and when it was read; kept for two years by the time to live |
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.ledger import NAMES, Counts, Hour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 2 * 365 * 86_400
"""As long as incidents: a report can be made anew from both."""


class LedgerTable(Table):
    """LedgerStore on DynamoDB."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#LEDGER"

    def hours(self, begin: float, end: float) -> Sequence[Hour]:
        if end <= begin:
            return []
        found = [_hour(item) for item in self._between(self._partition, _name(begin), _name(end))]
        return [hour for hour in found if begin <= hour.begin < end]

    def write_hour(self, hour: Hour) -> None:
        item = {**asdict(hour), "expires_at": int(hour.begin + KEPT_SECONDS)}
        later = "attribute_not_exists(pk) OR read_at <= :read_at"
        # Refused: somebody read it later than we did, and knows as much or more.
        self._put_if(self._partition, _name(hour.begin), item, later, {":read_at": hour.read_at})


def _name(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _hour(item: Mapping[str, Any]) -> Hour:
    with reading(f"LEDGER {item.get('sk')}"):
        counts = Counts(**{name: int(item["counts"][name]) for name in NAMES})
        return Hour(float(item["begin"]), counts, str(item["model"]), float(item["read_at"]))
