"""DynamoDB Streams and event source mappings: batches in order, retries in halves, and what was given up is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.conftest import wait_for

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

SOURCE = """
import json

def handler(event, context):
    names = [record["dynamodb"]["Keys"]["pk"]["S"] for record in event["Records"]]
    print("batch " + json.dumps([len(names), names[0], names[-1]]))
    for record in event["Records"]:
        print("record " + json.dumps(record))
    if "poison" in names:
        raise ValueError("poison")
"""
READ = {
    "Effect": "Allow",
    "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"],
    "Resource": "*",
}


class Mapped:
    """A table, a function that reads its stream, and what that one heard."""

    def __init__(self, bench: Bench, name: str, *statements: dict[str, Any], **mapping: Any) -> None:
        self._bench, self.name = bench, name
        self.client = bench.cloud.client("dynamodb")
        made = self.client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        bench.function(f"{name}-reader", SOURCE, *statements)
        bench.cloud.client("lambda").create_event_source_mapping(
            FunctionName=f"{name}-reader",
            EventSourceArn=made["TableDescription"]["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
            **mapping,
        )

    def put(self, key: str, value: int = 1) -> None:
        self.client.put_item(TableName=self.name, Item={"pk": {"S": key}, "value": {"N": str(value)}})

    def lines(self, kind: str) -> list[Any]:
        said = [line for function, line in self._bench.heard if function == f"{self.name}-reader"]
        return [json.loads(line.removeprefix(f"{kind} ")) for line in said if line.startswith(f"{kind} ")]

    def batches(self, records: int) -> list[Any]:
        wait_for(f"{records} records", lambda: len(self.lines("record")) >= records)
        return self.lines("batch")


def test_bytes_reach_the_function_in_base64(bench: Bench) -> None:
    mapped = Mapped(bench, "packed", READ)
    item = {"pk": {"S": "a"}, "body": {"B": b"\x00\xff"}, "all": {"L": [{"B": b"x"}]}}
    mapped.client.put_item(TableName="packed", Item=item)
    wait_for("the record", lambda: mapped.lines("record"))
    image = mapped.lines("record")[0]["dynamodb"]["NewImage"]
    assert image == {"pk": {"S": "a"}, "body": {"B": "AP8="}, "all": {"L": [{"B": "eA=="}]}}


def test_what_is_written_within_the_window_comes_in_one_batch_in_order(bench: Bench) -> None:
    table = Mapped(bench, "windowed", READ, BatchSize=100, MaximumBatchingWindowInSeconds=1)
    for key in "abc":
        table.put(key)
    table.put("a", 2)
    table.put("a", 2)  # changes nothing
    table.client.delete_item(TableName="windowed", Key={"pk": {"S": "a"}})
    assert table.batches(5) == [[5, "a", "a"]]
    put, _, _, changed, deleted = table.lines("record")
    assert [each["eventName"] for each in (put, changed, deleted)] == ["INSERT", "MODIFY", "REMOVE"]
    assert changed["dynamodb"]["OldImage"]["value"] == {"N": "1"}
    assert changed["dynamodb"]["NewImage"]["value"] == {"N": "2"}
    assert "NewImage" not in deleted["dynamodb"]
    assert int(put["dynamodb"]["SequenceNumber"]) < int(changed["dynamodb"]["SequenceNumber"])
    assert put["eventSourceARN"].split("/")[1] == "windowed"
    assert isinstance(put["dynamodb"]["ApproximateCreationDateTime"], int)


def test_an_image_stays_as_it_was_when_its_item_is_updated_later(bench: Bench) -> None:
    table = Mapped(bench, "updated", READ, MaximumBatchingWindowInSeconds=1)
    table.client.put_item(TableName="updated", Item={"pk": {"S": "a"}, "list": {"L": [{"N": "1"}]}})
    table.client.update_item(
        TableName="updated",
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET #list[0] = :two",
        ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":two": {"N": "2"}},
    )
    table.batches(2)
    put, changed = table.lines("record")
    assert put["dynamodb"]["NewImage"] == changed["dynamodb"]["OldImage"]
    assert put["dynamodb"]["NewImage"]["list"] == {"L": [{"N": "1"}]}


def test_a_full_batch_does_not_wait_for_its_window(bench: Bench) -> None:
    table = Mapped(bench, "full", READ, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    for key in "abcd":
        table.put(key)
    assert table.batches(4) == [[2, "a", "b"], [2, "c", "d"]]


def test_a_batch_that_fails_is_halved_until_the_bad_record_is_alone_and_told_to_the_queue(bench: Bench) -> None:
    url, queue = bench.queue("discarded")
    table = Mapped(
        bench,
        "halved",
        READ,
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue},
        BatchSize=4,
        MaximumBatchingWindowInSeconds=300,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    for key in ("a", "b", "poison", "d"):
        table.put(key)
    [told] = wait_for("the discarded record", lambda: bench.received(url))
    batches = wait_for("the last half", lambda: found if len(found := table.lines("batch")) == 5 else None)
    assert batches == [
        [4, "a", "d"],
        [2, "a", "b"],
        [2, "poison", "d"],
        [1, "poison", "poison"],
        [1, "d", "d"],
    ]
    about = json.loads(told)
    assert about["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert about["DDBStreamBatchInfo"]["batchSize"] == 1
    assert about["DDBStreamBatchInfo"]["startSequenceNumber"] == about["DDBStreamBatchInfo"]["endSequenceNumber"]


def test_a_transaction_that_is_cancelled_leaves_no_record(bench: Bench) -> None:
    table = Mapped(bench, "cancelled", READ, MaximumBatchingWindowInSeconds=1)
    table.put("there")
    put = {"TableName": "cancelled", "Item": {"pk": {"S": "new"}}}
    refused = {
        "TableName": "cancelled",
        "Item": {"pk": {"S": "there"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.client.transact_write_items(TransactItems=[{"Put": put}, {"Put": refused}])
    table.put("after")
    assert table.batches(2) == [[2, "there", "after"]]


def test_a_function_that_may_not_read_the_stream_gets_no_mapping(bench: Bench) -> None:
    with pytest.raises(ClientError, match="ensure the role can perform the GetRecords"):
        Mapped(bench, "denied")
