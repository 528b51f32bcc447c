"""ModelStore on S3: one Region's model bucket. Bytes go from bucket to bucket; none passes through a function."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from standfast.aws.calls import error_code, translated
from standfast.errors import ConflictError, ModelDamagedError
from standfast.replication import PART_BYTES, SINGLE_COPY_BYTES, Stored, part_ranges

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mypy_boto3_s3 import S3Client

THREADS = 16
CHUNK_BYTES = 8 << 20
COPY_SECONDS = 300
"""S3 answers a CopyObject of 5 GiB when it is done: at 20 MB/s after 268 s."""
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"})
_WRONG = frozenset({"BadDigest", "InvalidPart", "InvalidRange", "InvalidRequest", "EntityTooSmall"})


class ModelBucket:
    """One Region's model bucket. `single_copy_bytes` and `part_bytes` are S3's limits and ours, smaller in tests."""

    def __init__(
        self,
        bucket: str,
        region: str,
        client: S3Client | None = None,
        *,
        single_copy_bytes: int = SINGLE_COPY_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._bucket = bucket
        self._client = client or boto3.client("s3", region_name=region, config=_config())
        self._single_copy_bytes, self._part_bytes = single_copy_bytes, part_bytes
        self._calls = 0
        self._lock = threading.Lock()
        self._client.meta.events.register("before-send.s3", self._count)

    @property
    def calls(self) -> int:
        return self._calls

    def list_folder(self, prefix: str) -> Mapping[str, int]:
        with _told(f"ListObjectsV2 {prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}

    def describe(self, key: str) -> Stored | None:
        with _told(f"HeadObject {key}"):
            found = self._head(key)
        if found is None:
            return None
        # A composite checksum is one of the parts' checksums: it depends on how the object was uploaded.
        whole = found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        checksum = found.get("ChecksumCRC64NVME", "") if whole else ""
        # botocore's enumeration has COMPLETE too, which older texts of S3 say for COMPLETED.
        status = {"COMPLETE": "COMPLETED"}.get(found.get("ReplicationStatus", ""), found.get("ReplicationStatus", ""))
        return Stored(found["ContentLength"], checksum, found["ETag"], status)

    def replicates_to(self, bucket: str, prefix: str) -> bool:
        with _told(f"GetBucketReplication {self._bucket}"):
            try:
                answer = self._client.get_bucket_replication(Bucket=self._bucket)
            except ClientError as error:
                if error_code(error) != "ReplicationConfigurationNotFoundError":
                    raise
                return False
        return any(_brings(rule, bucket, prefix) for rule in answer["ReplicationConfiguration"]["Rules"])

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes | None:
        if length == 0:
            return b""
        part: dict[str, Any] = {}
        if length is not None or start:
            part = {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        with _told(f"GetObject {key}"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key, **part)["Body"].read()
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise

    def chunks(self, key: str, etag: str) -> Iterator[bytes]:
        with _told(f"GetObject {key}"):
            body = self._client.get_object(Bucket=self._bucket, Key=key, IfMatch=etag)["Body"]
            yield from body.iter_chunks(CHUNK_BYTES)

    def write(self, key: str, body: bytes) -> None:
        with _told(f"PutObject {key}"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def write_once(self, key: str, body: bytes) -> bool:
        with _told(f"PutObject {key}"):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if error_code(error) not in _CHANGED:
                    raise
                return False
        return True

    def copy(self, source_bucket: str, key: str, size: int, crc64nvme: str = "") -> str:
        source = {"Bucket": source_bucket, "Key": key}
        with _told(f"CopyObject {key} from {source_bucket}"):
            try:
                whole = size <= self._single_copy_bytes
                found = self._copy_whole(source) if whole else self._copy_parts(source, size, crc64nvme)
            except ClientError as error:
                if error_code(error) not in _ABSENT:
                    raise
                raise ModelDamagedError(f"{key} is no longer in {source_bucket}") from error
        if not found or (crc64nvme and found != crc64nvme):
            raise ModelDamagedError(
                f"the copy of {key} from {source_bucket} has CRC64NVME {found or 'none'}, the manifest says {crc64nvme}"
            )
        return found

    def abort_uploads(self, prefix: str, *, keep: Collection[str]) -> int:
        aborted = 0
        kept: set[str] = set()
        for key, upload_id in self._uploads(prefix):
            if key in keep and key not in kept:
                kept.add(key)
                continue
            self._abort(key, upload_id)
            aborted += 1
        return aborted

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED"))
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise

    def _copy_whole(self, source: dict[str, str]) -> str:
        answer = self._client.copy_object(
            Bucket=self._bucket,
            Key=source["Key"],
            CopySource={"Bucket": source["Bucket"], "Key": source["Key"]},
            ChecksumAlgorithm="CRC64NVME",
            # S3 refuses to copy an object onto itself with nothing changed; a model's objects have no metadata.
            MetadataDirective="REPLACE",
        )
        return answer["CopyObjectResult"].get("ChecksumCRC64NVME", "")

    def _copy_parts(self, source: dict[str, str], size: int, crc64nvme: str) -> str:
        key = source["Key"]
        ranges = part_ranges(size, self._part_bytes)
        upload_id, there = self._upload(key, ranges)
        numbers = [number for number in range(1, len(ranges) + 1) if number not in there]
        copied = partial(self._copy_part, source, upload_id, ranges)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="part") as pool:
            there = {**there, **dict(zip(numbers, pool.map(copied, numbers), strict=True))}
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(there.items())]
        expected: dict[str, Any] = {"ChecksumCRC64NVME": crc64nvme, "ChecksumType": "FULL_OBJECT"} if crc64nvme else {}
        try:
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, **expected
            )
        except ClientError as error:
            if error_code(error) in _WRONG:
                self._abort(key, upload_id)  # its parts are no good: the next attempt begins anew
            raise
        return str((self._head(key) or {}).get("ChecksumCRC64NVME", ""))

    def _copy_part(self, source: dict[str, str], upload_id: str, ranges: Sequence[tuple[int, int]], number: int) -> str:
        begin, end = ranges[number - 1]
        answer = self._client.upload_part_copy(
            Bucket=self._bucket,
            Key=source["Key"],
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source["Bucket"], "Key": source["Key"]},
            CopySourceRange=f"bytes={begin}-{end}",
        )
        return answer["CopyPartResult"]["ETag"]

    def _upload(self, key: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, dict[int, str]]:
        """The upload to go on with, and number -> ETag of its parts; a new one where none was cut off.

        One whose parts are not of our sizes is not ours.
        """
        for found, upload_id in self._uploads(key):
            if found != key:
                continue
            pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
            parts = [part for page in pages for part in page.get("Parts", ())]
            if all(
                part["PartNumber"] <= len(ranges)
                and part["Size"] == ranges[part["PartNumber"] - 1][1] - ranges[part["PartNumber"] - 1][0] + 1
                for part in parts
            ):
                return upload_id, {part["PartNumber"]: part["ETag"] for part in parts}
            self._abort(key, upload_id)
        answer = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
        )
        return answer["UploadId"], {}

    def _uploads(self, prefix: str) -> list[tuple[str, str]]:
        with _told(f"ListMultipartUploads {prefix}"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            return [(each["Key"], each["UploadId"]) for page in pages for each in page.get("Uploads", ())]

    def _abort(self, key: str, upload_id: str) -> None:
        with _told(f"AbortMultipartUpload {key}"):
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error_code(error) != "NoSuchUpload":  # somebody else was quicker
                    raise

    def _count(self, **_: object) -> None:
        with self._lock:
            self._calls += 1


def _brings(rule: Mapping[str, Any], bucket: str, prefix: str) -> bool:
    """A rule that looks at tags too may leave objects out: it does not count. Rules of the old form have a Prefix."""
    chosen = rule.get("Filter", rule)
    is_plain = not {"And", "Tag"} & set(chosen)
    is_meant = rule["Destination"]["Bucket"].rpartition(":")[2] == bucket and prefix.startswith(
        chosen.get("Prefix", "")
    )
    return bool(rule["Status"] == "Enabled" and is_plain and is_meant)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """S3's own refusals in our words; the rest as everywhere."""
    with translated(what):
        try:
            yield
        except ClientError as error:
            code = error_code(error)
            if code in _CHANGED:
                raise ConflictError(f"{what}: it was changed meanwhile ({code})") from error
            if code in _WRONG:
                raise ModelDamagedError(f"{what}: {error.response['Error'].get('Message', code)}") from error
            raise


def _config() -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=COPY_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 5},
        max_pool_connections=2 * THREADS,
        tcp_keepalive=True,
    )
