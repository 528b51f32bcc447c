"""LedgerStore on DynamoDB: an hour is an item, and who read it later wins."""

from __future__ import annotations

from typing import Any

import pytest

from standfast.aws.ledger_table import KEPT_SECONDS, LedgerTable
from standfast.errors import CorruptStateError
from standfast.ledger import HOUR, Counts, Hour
from tests.builders import NOW, SCOPE

FIRST = Hour(NOW, Counts(1, 2, 3, 4, 5, 6, 7), "meta-llama/Llama-3.1-8B", NOW + 300.25)


@pytest.fixture
def table(dynamodb: Any, state_table: str) -> LedgerTable:
    return LedgerTable(state_table, SCOPE, dynamodb)


def test_an_hour_is_read_back_as_it_was_written(table: LedgerTable) -> None:
    assert table.hours(NOW - HOUR, NOW + HOUR) == []
    table.write_hour(FIRST)
    assert table.hours(NOW - HOUR, NOW + HOUR) == [FIRST]


def test_hours_come_in_order_from_the_first_up_to_the_last(table: LedgerTable) -> None:
    for number in (3, 0, 2, 1, -1):
        table.write_hour(Hour(NOW + number * HOUR, Counts(requests=number + 1), "m", NOW))
    assert [hour.begin - NOW for hour in table.hours(NOW, NOW + 3 * HOUR)] == [0, HOUR, 2 * HOUR]
    assert table.hours(NOW + HOUR, NOW) == []


def test_an_earlier_reading_never_replaces_a_later_one(table: LedgerTable) -> None:
    later = Hour(NOW, Counts(requests=9), "m", NOW + 600)
    table.write_hour(later)
    table.write_hour(FIRST)
    assert table.hours(NOW, NOW + HOUR) == [later]
    table.write_hour(later)
    assert table.hours(NOW, NOW + HOUR) == [later]


def test_the_ledger_of_another_region_is_another(table: LedgerTable, dynamodb: Any, state_table: str) -> None:
    table.write_hour(FIRST)
    assert LedgerTable(state_table, "us-west-2", dynamodb).hours(NOW, NOW + HOUR) == []


def test_hours_are_kept_as_long_as_incidents_and_carry_the_schema(
    table: LedgerTable, dynamodb: Any, state_table: str
) -> None:
    table.write_hour(FIRST)
    (item,) = dynamodb.scan(TableName=state_table)["Items"]
    assert item["expires_at"]["N"] == str(int(NOW + KEPT_SECONDS))
    assert item["schema"]["N"] == "1"
    assert (item["pk"]["S"], item["sk"]["S"]) == (f"{SCOPE}#LEDGER", "2027-01-15T08:00:00+00:00")


def test_an_hour_that_lacks_a_count_is_refused(table: LedgerTable, dynamodb: Any, state_table: str) -> None:
    table.write_hour(FIRST)
    dynamodb.update_item(
        TableName=state_table,
        Key={"pk": {"S": f"{SCOPE}#LEDGER"}, "sk": {"S": "2027-01-15T08:00:00+00:00"}},
        UpdateExpression="REMOVE #counts.failed",
        ExpressionAttributeNames={"#counts": "counts"},
    )
    with pytest.raises(CorruptStateError, match="LEDGER 2027-01-15T08"):
        table.hours(NOW, NOW + HOUR)
