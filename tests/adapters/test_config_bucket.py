"""The texts of all versions on S3: kept once, never changed, given to other Regions, put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast import config_versions
from standfast.aws.config_bucket import S3ConfigBucket
from standfast.config_versions import ConfigVersion
from standfast.errors import AccessDeniedError, ConflictError, CorruptStateError, InvalidInputError, ThrottledError
from tests.builders import SCOPE, document

NAME, WEST = "standfast-config-123456789012", "us-west-2"
TEXT = config_versions.canonical_text(document())
V7 = ConfigVersion(7, config_versions.sha256(TEXT))


@pytest.fixture
def s3(aws: str) -> Iterator[Any]:
    """S3 with a bucket of two Regions, empty for each test."""
    client = boto3.client("s3", region_name=aws)
    for region in (SCOPE, WEST):
        where: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=f"{NAME}-{region}", **where)
        client.put_bucket_versioning(Bucket=f"{NAME}-{region}", VersioningConfiguration={"Status": "Enabled"})
    yield client
    for region in (SCOPE, WEST):
        listed = client.list_object_versions(Bucket=f"{NAME}-{region}")
        for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=f"{NAME}-{region}", Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=f"{NAME}-{region}")


@pytest.fixture
def bucket(s3: Any) -> S3ConfigBucket:
    return S3ConfigBucket(name, SCOPE)


def name(region: str) -> str:
    return f"{NAME}-{region}"


def edit(s3: Any, text: str) -> None:
    """As a person does it at the console."""
    s3.put_object(Bucket=f"{NAME}-{SCOPE}", Key=V7.key, Body=text.encode())


def test_a_text_is_kept_and_read_back(bucket: S3ConfigBucket) -> None:
    assert bucket.put_version(V7, TEXT)
    assert bucket.read_version(V7) == TEXT
    assert config_versions.read_text(bucket.read_version(V7), V7) == document()


def test_a_text_that_is_there_is_not_written_again(bucket: S3ConfigBucket, s3: Any) -> None:
    bucket.put_version(V7, TEXT)
    assert not bucket.put_version(V7, TEXT)
    assert len(s3.list_object_versions(Bucket=f"{NAME}-{SCOPE}")["Versions"]) == 1


def test_a_text_that_was_changed_by_hand_is_found_and_not_covered_up(bucket: S3ConfigBucket, s3: Any) -> None:
    edit(s3, "by hand")
    with pytest.raises(CorruptStateError, match=f"in {NAME}-{SCOPE} is another text than version 7"):
        bucket.put_version(V7, TEXT)
    assert bucket.read_version(V7) == "by hand"


def test_a_text_is_taken_from_another_region(bucket: S3ConfigBucket) -> None:
    S3ConfigBucket(name, WEST).put_version(V7, TEXT)
    assert bucket.read_version(V7, WEST) == TEXT
    with pytest.raises(InvalidInputError, match=r"the text of version 7 \(.*\) is not in .*-us-east-1"):
        bucket.read_version(V7)


def test_a_version_is_found_by_its_number_and_the_newest_come_first(bucket: S3ConfigBucket, s3: Any) -> None:
    versions = [ConfigVersion(number, config_versions.sha256(str(number))) for number in (1, 2, 11)]
    for version in versions:
        bucket.put_version(version, str(version.version))
    s3.put_object(Bucket=f"{NAME}-{SCOPE}", Key="versions/notes.txt", Body=b"somebody's")
    assert bucket.versions(1) == [versions[0]]
    assert bucket.versions(3) == []
    assert bucket.newest(2) == [versions[2], versions[1]]


@pytest.mark.parametrize("deleted", [False, True])
def test_what_a_hand_changed_or_deleted_is_put_back(bucket: S3ConfigBucket, s3: Any, deleted: bool) -> None:
    bucket.put_version(V7, TEXT)
    edit(s3, "by hand")
    if deleted:
        s3.delete_object(Bucket=f"{NAME}-{SCOPE}", Key=V7.key)
    assert bucket.restore_version(V7)
    assert bucket.read_version(V7) == TEXT


def test_what_was_never_there_cannot_be_put_back(bucket: S3ConfigBucket, s3: Any) -> None:
    edit(s3, "by hand")
    assert not bucket.restore_version(V7)
    assert bucket.read_version(V7) == "by hand"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ConditionalRequestConflict", 409, ConflictError),
        ("SlowDown", 503, ThrottledError),
        ("AccessDenied", 403, AccessDeniedError),
    ],
)
def test_what_s3_refuses_is_an_error_of_ours(aws: str, code: str, status: int, error: type[Exception]) -> None:
    client = boto3.client("s3", region_name=aws)
    with Stubber(client) as stub:
        stub.add_client_error("put_object", code, http_status_code=status)
        with pytest.raises(error):
            S3ConfigBucket(name, SCOPE, lambda _: client).put_version(V7, TEXT)
