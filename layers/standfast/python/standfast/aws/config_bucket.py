"""ConfigBucket on S3: a bucket of each Region, named after fleet, account and Region.

Objects are written under If-None-Match, so that a version is never changed by Standfast; the bucket keeps versions, so
that what a hand changed can be put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from standfast import config_versions
from standfast.aws.calls import config, error_code, translated
from standfast.errors import ConflictError, CorruptStateError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_s3 import S3Client

    from standfast.config_versions import ConfigVersion

_MISSING = frozenset({"NoSuchKey", "404"})


def _client(region: str) -> S3Client:
    return boto3.client("s3", region_name=region, config=config(attempts=2))


class S3ConfigBucket:
    """`name(region)` is a Region's bucket. Another Region's is only read."""

    def __init__(self, name: Callable[[str], str], region: str, client: Callable[[str], S3Client] = _client) -> None:
        self._name = name
        self._region = region
        self._make = client
        self._clients: dict[str, S3Client] = {}

    def put_version(self, version: ConfigVersion, text: str) -> bool:
        with translated(f"PutObject {version.key}"):
            try:
                self._client(self._region).put_object(
                    Bucket=self._name(self._region),
                    Key=version.key,
                    Body=text.encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                match error_code(error):
                    case "PreconditionFailed":
                        return self._check_same(version)
                    case "ConditionalRequestConflict":
                        raise ConflictError(f"{version.key} is being written by somebody else") from error
                    case _:
                        raise
        return True

    def read_version(self, version: ConfigVersion, region: str | None = None) -> str:
        there = region or self._region
        text = self._read(version, there)
        if text is None:
            raise InvalidInputError(f"the text of {version} is not in {self._name(there)} ({version.key})")
        return text

    def versions(self, version: int) -> Sequence[ConfigVersion]:
        return self._listed(config_versions.prefix(version))

    def newest(self, most: int) -> Sequence[ConfigVersion]:
        return sorted(self._listed("versions/"), key=lambda each: each.version, reverse=True)[:most]

    def restore_version(self, version: ConfigVersion) -> bool:
        client, bucket = self._client(self._region), self._name(self._region)
        with translated(f"ListObjectVersions {version.key}"):
            listed = client.list_object_versions(Bucket=bucket, Prefix=version.key)
        for each in listed.get("Versions", []):
            text = self._read(version, self._region, each["VersionId"])
            if text is not None and config_versions.sha256(text) == version.sha256:
                with translated(f"PutObject {version.key}"):
                    client.put_object(
                        Bucket=bucket, Key=version.key, Body=text.encode(), ContentType="application/json"
                    )
                return True
        return False

    def _check_same(self, version: ConfigVersion) -> bool:
        """It is there already: False when it is the same, as it must be."""
        found = self._read(version, self._region)
        if found is not None and config_versions.sha256(found) != version.sha256:
            raise CorruptStateError(
                f"{version.key} in {self._name(self._region)} is another text than {version}; put back the object's "
                "earlier version"
            )
        return False

    def _read(self, version: ConfigVersion, region: str, version_id: str | None = None) -> str | None:
        which: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with translated(f"GetObject {version.key}"):
            try:
                answer = self._client(region).get_object(Bucket=self._name(region), Key=version.key, **which)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise
            return answer["Body"].read().decode(errors="replace")

    def _listed(self, prefix: str) -> list[ConfigVersion]:
        with translated("ListObjectsV2"):
            pages = (
                self._client(self._region)
                .get_paginator("list_objects_v2")
                .paginate(Bucket=self._name(self._region), Prefix=prefix)
            )
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [version for key in keys if (version := config_versions.version_of(key)) is not None]

    def _client(self, region: str) -> S3Client:
        if region not in self._clients:
            self._clients[region] = self._make(region)
        return self._clients[region]
