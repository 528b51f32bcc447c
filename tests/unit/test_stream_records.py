"""Records of a DynamoDB stream as changes of the state journal."""

from __future__ import annotations

from typing import Any

import pytest

from standfast.errors import CorruptStateError
from standfast.state_journal import Change, ItemKey
from standfast.stream_records import changes_of

NAMES = {"chat-ClusterTable-1ABC": "cluster"}


def record(name: str = "MODIFY", table: str = "chat-ClusterTable-1ABC", **written: Any) -> dict[str, Any]:
    """As AWS's guide shows one."""
    return {
        "eventID": "7de3041dd709b024af6f29e4fa13d34c",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1479499740,
            "Keys": {"pk": {"S": "us-east-1"}, "sk": {"S": "SCOPE"}},
            "OldImage": {"token": {"N": "1"}},
            "NewImage": {"token": {"N": "2"}},
            "SequenceNumber": "13021600000000001596893679",
            "SizeBytes": 112,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **written,
        },
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2016-11-16T20:42:48.104",
    }


def test_a_record_is_a_change_of_its_item() -> None:
    assert changes_of({"Records": [record()]}, NAMES) == [
        Change(
            ItemKey("cluster", "us-east-1", "SCOPE"),
            13021600000000001596893679,
            1479499740.0,
            {"token": {"N": "1"}},
            {"token": {"N": "2"}},
        )
    ]


def test_what_was_put_had_no_image_and_what_was_deleted_has_none() -> None:
    new, gone = record("INSERT"), record("REMOVE")
    del new["dynamodb"]["OldImage"], gone["dynamodb"]["NewImage"]
    put, deleted = changes_of({"Records": [new, gone]}, NAMES)
    assert (put.old, deleted.new) == (None, None)


def test_a_stream_without_old_images_is_refused_by_name() -> None:
    half = record()
    del half["dynamodb"]["OldImage"]
    with pytest.raises(CorruptStateError, match="MODIFY of chat-ClusterTable-1ABC lacks an image"):
        changes_of({"Records": [half]}, NAMES)


def test_a_record_of_another_table_is_refused_by_name() -> None:
    with pytest.raises(CorruptStateError, match="a record of orders, which is no state table"):
        changes_of({"Records": [record(table="orders")]}, NAMES)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(CorruptStateError, match="no record of a DynamoDB stream"):
        changes_of({"Records": [{"eventSource": "aws:sqs"}]}, NAMES)
