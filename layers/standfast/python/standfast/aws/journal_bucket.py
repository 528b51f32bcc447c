"""StateJournal on S3: a Region's pieces under `journal/<region>/YYYY/MM/DD/HH/` in a backup bucket.

A piece is written under If-None-Match and named by the first and the last sequence number in it, so that a batch that
is delivered twice is one object. The bucket, or the one in another Region that it is replicated to, may be read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import ClientError

from standfast import state_journal
from standfast.aws.calls import config, error_code, translated
from standfast.errors import ConflictError, JournalDamagedError
from standfast.state_journal import DamagedPiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from standfast.state_journal import Change, Piece


READERS: Final = 10
"""As many connections as a client of boto3 keeps."""


class JournalBucket:
    """`region`: whose journal it is. `bucket_region`: where the bucket lies; the same, unless it is a replica."""

    def __init__(
        self, bucket: str, fleet: str, region: str, bucket_region: str | None = None, client: S3Client | None = None
    ) -> None:
        self._bucket = bucket
        self._fleet = fleet
        self._region = region
        self._client = client or boto3.client("s3", region_name=bucket_region or region, config=config(attempts=3))

    def write(self, table: str, changes: Sequence[Change]) -> bool:
        first, last = changes[0], changes[-1]
        key = f"{self._hour(first.at)}{first.at:.0f}-{table}-{first.sequence}-{last.sequence}.json"
        with translated(f"PutObject {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=state_journal.seal(self._fleet, self._region, table, changes).encode(),
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                match error_code(error):
                    case "PreconditionFailed":
                        return False
                    case "ConditionalRequestConflict":
                        raise ConflictError(f"{key} is being written by somebody else") from error
                    case _:
                        raise
        return True

    def pieces(self, since: float, until: float) -> Iterator[Piece | DamagedPiece]:
        hour = since - since % state_journal.HOUR_SECONDS
        with ThreadPoolExecutor(READERS) as pool:  # a busy hour has two thousand
            while hour <= until:
                wanted = [key for key in self._listed(self._hour(hour)) if not _begins_after(key, until)]
                yield from pool.map(self._read, wanted, repeat(hour))
                hour += state_journal.HOUR_SECONDS

    def _hour(self, at: float) -> str:
        return f"journal/{self._region}/{datetime.fromtimestamp(at, UTC):%Y/%m/%d/%H}/"

    def _listed(self, prefix: str) -> list[str]:
        with translated(f"ListObjectsV2 {prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def _read(self, key: str, hour: float) -> Piece | DamagedPiece:
        with translated(f"GetObject {key}"):
            text = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read().decode(errors="replace")
        try:
            piece = state_journal.unseal(key, text)
        except JournalDamagedError as error:
            return DamagedPiece(key, hour, str(error))
        if (piece.fleet, piece.region) != (self._fleet, self._region):
            whose = f"{piece.fleet} in {piece.region}, not of {self._fleet} in {self._region}"
            return DamagedPiece(key, hour, f"{key} is of {whose}")
        return piece


def _begins_after(key: str, moment: float) -> bool:
    """Whether a piece's name says that its first change came later: none of them is wanted then."""
    first = key.rsplit("/", 1)[-1].partition("-")[0]
    return first.isdigit() and int(first) > moment
