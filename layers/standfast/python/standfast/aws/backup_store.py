"""BackupStore on S3: the backup bucket of this Region, which keeps every version, locked for thirty days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"NoSuchKey", "404"})


class BackupBucket:
    """One bucket. Nothing of another Region is asked: a restore must work while the others are gone."""

    def __init__(self, bucket: str, region: str, client: S3Client | None = None) -> None:
        self._bucket = bucket
        self._client = client or boto3.client("s3", region_name=region, config=config(attempts=3))

    def write_once(self, key: str, body: bytes) -> bool:
        with translated(f"PutObject {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                match error_code(error):
                    case "PreconditionFailed":
                        # Perhaps by this very call: the answer was lost, and the SDK asked again.
                        return self.read(key) == body
                    case "ConditionalRequestConflict":
                        raise ConflictError(f"{key} is being written by somebody else") from error
                    case _:
                        raise
        return True

    def read(self, key: str) -> bytes | None:
        with translated(f"GetObject {key}"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise

    def snapshots(self, region: str, day: str) -> Sequence[str]:
        prefix = f"snapshots/{region}/"
        with translated(f"ListObjectsV2 {prefix}{day}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{prefix}{day}/", Delimiter="/"
            )
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return sorted((each.removeprefix(prefix).rstrip("/") for each in found), reverse=True)
