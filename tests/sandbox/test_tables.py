"""The DynamoDB seam: conditional writes and transactions are atomic, however many threads write."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sandbox.aws import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 16


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    interval = sys.getswitchinterval()
    tables.install()
    tables.install()
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.exceptions.ConditionalCheckFailedException  # noqa: B018 - made lazily, and not by two threads at once
        sys.setswitchinterval(1e-5)
        try:
            yield client
        finally:
            sys.setswitchinterval(interval)


def test_one_of_many_writers_wins_a_conditional_put(dynamodb: Any) -> None:
    def wins(_: int) -> int:
        won = 0
        for key in range(10):
            try:
                dynamodb.put_item(
                    TableName="t", Item={"pk": {"S": str(key)}}, ConditionExpression="attribute_not_exists(pk)"
                )
                won += 1
            except dynamodb.exceptions.ConditionalCheckFailedException:
                pass
        return won

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(wins, range(WRITERS))) == 10


def test_one_of_many_transactions_with_a_condition_wins(dynamodb: Any) -> None:
    def wins(_: int) -> int:
        won = 0
        for key in range(10):
            put = {"TableName": "t", "Item": {"pk": {"S": f"a{key}"}}}
            try:
                dynamodb.transact_write_items(
                    TransactItems=[
                        {"Put": {**put, "ConditionExpression": "attribute_not_exists(pk)"}},
                        {"Put": {"TableName": "t", "Item": {"pk": {"S": f"b{key}"}}}},
                    ]
                )
                won += 1
            except dynamodb.exceptions.TransactionCanceledException:
                pass
        return won

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(wins, range(WRITERS))) == 10


def test_no_increment_is_lost(dynamodb: Any) -> None:
    def increment(_: int) -> None:
        dynamodb.update_item(
            TableName="t",
            Key={"pk": {"S": "counter"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(increment, range(200)))
    item = dynamodb.get_item(TableName="t", Key={"pk": {"S": "counter"}})["Item"]
    assert item["n"] == {"N": "200"}


ATTRIBUTES: dict[str, Any] = {
    "pk": {"S": "all"},
    "words": {"S": "größer"},
    "empty": {"S": ""},
    "number": {"N": "1800000000.25"},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "nothing": {"NULL": True},
    "bytes": {"B": b"\x00\xff"},
    "several": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "pieces": {"BS": [b"\x00", b"\x01"]},
    "list": {"L": [{"S": "a"}, {"M": {"deep": {"B": b"\x02"}, "deeper": {"L": [{"N": "1"}]}}}, {"L": []}]},
    "map": {"M": {"S": {"S": "a name like a type's"}, "none": {"M": {}}}},
}


def test_an_item_is_answered_as_it_was_put(dynamodb: Any) -> None:
    dynamodb.put_item(TableName="t", Item=ATTRIBUTES)
    key = {"pk": ATTRIBUTES["pk"]}
    query = dynamodb.query(
        TableName="t", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": ATTRIBUTES["pk"]}
    )
    assert dynamodb.get_item(TableName="t", Key=key)["Item"] == ATTRIBUTES
    assert query["Items"] == dynamodb.scan(TableName="t")["Items"] == [ATTRIBUTES]
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        dynamodb.put_item(
            TableName="t",
            Item=key,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"] == ATTRIBUTES
