"""ReportStore on S3: a bucket of each Region, named after fleet, account and Region. Of others we only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"NoSuchKey", "404"})


def _client(region: str) -> S3Client:
    return boto3.client("s3", region_name=region, config=config(attempts=2))


class LedgerBucket:
    """`name(region)` is a Region's bucket."""

    def __init__(self, name: Callable[[str], str], region: str, client: Callable[[str], S3Client] = _client) -> None:
        self._name = name
        self._region = region
        self._make = client
        self._clients: dict[str, S3Client] = {}

    def read(self, key: str, region: str) -> str | None:
        with translated(f"GetObject {key} in {region}"):
            try:
                answer = self._client(region).get_object(Bucket=self._name(region), Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise
            return answer["Body"].read().decode(errors="replace")

    def write(self, key: str, text: str, content_type: str) -> None:
        with translated(f"PutObject {key}"):
            self._client(self._region).put_object(
                Bucket=self._name(self._region), Key=key, Body=text.encode(), ContentType=content_type
            )

    def _client(self, region: str) -> S3Client:
        if region not in self._clients:
            self._clients[region] = self._make(region)
        return self._clients[region]
