"""StateJournal on S3: immutable pieces by the hour."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from standfast.aws.journal_bucket import JournalBucket
from standfast.state_journal import Change, DamagedPiece, ItemKey, Piece

NOW = 1_795_000_000.0
BUCKET = "chat-backups"


@pytest.fixture(scope="module")
def s3(aws: str) -> Any:
    client = boto3.client("s3", region_name=aws)
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def journal(s3: Any) -> JournalBucket:
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    return JournalBucket(BUCKET, "chat", "us-east-1")


def change(sequence: int, at: float = NOW) -> Change:
    return Change(ItemKey("state", "us-east-1", "SCOPE"), sequence, at, None, {"value": {"N": str(sequence)}})


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_what_was_written_is_read_back(journal: JournalBucket, s3: Any) -> None:
    assert journal.write("state", [change(1), change(2)])
    [piece] = journal.pieces(NOW, NOW)
    assert isinstance(piece, Piece)
    assert piece.changes == (change(1), change(2))
    assert keys(s3) == ["journal/us-east-1/2026/11/18/11/1795000000-state-1-2.json"]
    assert s3.head_object(Bucket=BUCKET, Key=keys(s3)[0], ChecksumMode="ENABLED")["ChecksumSHA256"]


def test_a_batch_that_comes_twice_is_one_piece(journal: JournalBucket, s3: Any) -> None:
    assert journal.write("state", [change(1)])
    assert not journal.write("state", [change(1)])
    assert len(keys(s3)) == 1


def test_the_hours_that_are_asked_for_are_read_and_no_others(journal: JournalBucket) -> None:
    for hours in (-2, -1, 0, 1):
        journal.write("state", [change(10 + hours, NOW + 3600 * hours)])
    found = [piece.first.sequence for piece in journal.pieces(NOW - 3600, NOW) if isinstance(piece, Piece)]
    assert sorted(found) == [9, 10]


def test_a_damaged_piece_is_named_and_the_others_are_read(journal: JournalBucket, s3: Any) -> None:
    journal.write("state", [change(1)])
    journal.write("state", [change(2)])
    whole = s3.get_object(Bucket=BUCKET, Key=keys(s3)[0])["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=keys(s3)[0], Body=whole.replace(b'"N":"1"', b'"N":"5"'))
    damaged, piece = sorted(journal.pieces(NOW, NOW), key=lambda each: each.key)
    assert isinstance(damaged, DamagedPiece)
    assert "does not have the SHA-256" in damaged.reason
    assert isinstance(piece, Piece)


def test_a_piece_of_another_fleet_is_no_piece_of_ours(journal: JournalBucket) -> None:
    JournalBucket(BUCKET, "other", "us-east-1").write("state", [change(1)])
    [found] = journal.pieces(NOW, NOW)
    assert isinstance(found, DamagedPiece)
    assert "is of other in us-east-1, not of chat" in found.reason
