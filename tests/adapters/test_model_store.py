"""ModelBucket on S3: what is copied is right to the checksum, and nothing is copied twice."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sandbox.aws import checksums
from standfast.aws.model_store import ModelBucket
from standfast.errors import AccessDeniedError, ConflictError, ModelDamagedError, UnavailableError
from standfast.replication import Stored

EAST, WEST = "fleet-models-east", "fleet-models-west"
KEY = "models/llama/v7/a.safetensors"
PART = 5 << 20
"""S3 takes no smaller part but the last one."""
LARGE = bytes(range(256)) * 20_500  # a part and a bit


@pytest.fixture
def east(aws: str) -> Iterator[Any]:
    """A client in us-east-1, with both buckets."""
    take_back = checksums.install()
    client: Any = boto3.client("s3", region_name=aws)
    client.create_bucket(Bucket=EAST)
    boto3.client("s3", region_name="us-west-2").create_bucket(
        Bucket=WEST, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    yield client
    for bucket in (EAST, WEST):
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for each in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=each["Key"])
        client.delete_bucket(Bucket=bucket)
    take_back()


@pytest.fixture
def west(east: Any) -> ModelBucket:
    return ModelBucket(WEST, "us-west-2", single_copy_bytes=PART, part_bytes=PART)


def crc(body: bytes) -> str:
    return base64.b64encode(checksums.crc64nvme(body)).decode()


def test_the_checksum_is_the_standards() -> None:
    assert checksums.crc64nvme(b"123456789").hex() == "ae8b14860a799888"


def test_a_small_object_is_copied_by_one_call_with_the_checksum_of_its_bytes(east: Any, west: ModelBucket) -> None:
    east.put_object(Bucket=EAST, Key=KEY, Body=b"weights")
    assert west.copy(EAST, KEY, 7, crc(b"weights")) == crc(b"weights")
    assert west.calls == 1
    found = west.describe(KEY)
    assert found is not None
    assert (found.size, found.crc64nvme) == (7, crc(b"weights"))
    assert west.read(KEY) == b"weights"


def test_a_large_object_is_copied_in_parts_and_has_the_checksum_of_the_whole(east: Any, west: ModelBucket) -> None:
    east.put_object(Bucket=EAST, Key=KEY, Body=LARGE)
    assert west.copy(EAST, KEY, len(LARGE), crc(LARGE)) == crc(LARGE)
    assert west.read(KEY) == LARGE
    assert west.calls == 7  # look for an upload, begin, two parts, end, the checksum; and what was read here


def test_a_copy_that_was_cut_off_goes_on_with_the_parts_that_are_there(east: Any, west: ModelBucket) -> None:
    east.put_object(Bucket=EAST, Key=KEY, Body=LARGE)
    begun = east.create_multipart_upload(
        Bucket=WEST, Key=KEY, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    part = {"Bucket": WEST, "Key": KEY, "UploadId": begun, "CopySource": f"{EAST}/{KEY}"}
    east.upload_part_copy(**part, PartNumber=1, CopySourceRange=f"bytes=0-{PART - 1}")
    assert west.copy(EAST, KEY, len(LARGE), crc(LARGE)) == crc(LARGE)
    assert west.read(KEY) == LARGE
    assert west.calls == 6  # look, its parts, the part that was missing, end, the checksum; and what was read here
    assert not east.list_multipart_uploads(Bucket=WEST).get("Uploads")


def test_an_upload_with_parts_of_another_size_is_not_ours_and_is_given_up(east: Any, west: ModelBucket) -> None:
    east.put_object(Bucket=EAST, Key=KEY, Body=LARGE)
    begun = east.create_multipart_upload(Bucket=WEST, Key=KEY)["UploadId"]
    east.upload_part(Bucket=WEST, Key=KEY, UploadId=begun, PartNumber=1, Body=b"something else")
    west.copy(EAST, KEY, len(LARGE), crc(LARGE))
    assert west.read(KEY) == LARGE
    assert not east.list_multipart_uploads(Bucket=WEST).get("Uploads")


def test_a_copy_that_does_not_come_to_the_manifests_checksum_is_refused(east: Any, west: ModelBucket) -> None:
    east.put_object(Bucket=EAST, Key=KEY, Body=b"other weights")
    with pytest.raises(ModelDamagedError, match=re.escape(f"has CRC64NVME {crc(b'other weights')}, the")):
        west.copy(EAST, KEY, 13, crc(b"weights"))


def test_a_copy_of_what_is_gone_says_so(west: ModelBucket) -> None:
    with pytest.raises(ModelDamagedError, match="no longer in fleet-models-east"):
        west.copy(EAST, KEY, 7)


def test_an_object_without_its_full_checksum_gets_one_by_a_copy_onto_itself(east: Any) -> None:
    home = ModelBucket(EAST, "us-east-1")
    east.put_object(Bucket=EAST, Key=KEY, Body=b"weights", ChecksumAlgorithm="CRC32")
    before = home.describe(KEY)
    assert before is not None
    assert before.crc64nvme == ""
    assert home.copy(EAST, KEY, 7) == crc(b"weights")
    assert home.describe(KEY) == Stored(7, crc(b"weights"), before.etag)


def test_uploads_that_were_cut_off_are_given_up_but_for_those_that_go_on(east: Any, west: ModelBucket) -> None:
    for key in (KEY, KEY, "models/llama/v7/b", "models/other/c"):
        east.create_multipart_upload(Bucket=WEST, Key=key)
    assert west.abort_uploads("models/llama/v7/", keep={KEY}) == 2
    left = [upload["Key"] for upload in east.list_multipart_uploads(Bucket=WEST)["Uploads"]]
    assert sorted(left) == [KEY, "models/other/c"]


def test_what_is_written_once_is_never_written_over(east: Any, west: ModelBucket) -> None:
    assert west.write_once("manifests/llama/v7.json", b"one")
    assert not west.write_once("manifests/llama/v7.json", b"two")
    assert west.read("manifests/llama/v7.json") == b"one"
    west.write("executions/plan.json", b"one")
    west.write("executions/plan.json", b"two")
    assert west.read("executions/plan.json") == b"two"


def test_parts_of_an_object_are_read_and_past_its_end_there_is_nothing(east: Any, west: ModelBucket) -> None:
    west.write(KEY, b"0123456789")
    assert west.read(KEY, 2, 3) == b"234"
    assert west.read(KEY, 8, 50) == b"89"
    assert west.read(KEY, 4, 0) == b""
    assert west.read("models/none") is None
    assert west.describe("models/none") is None
    with pytest.raises(ModelDamagedError, match="GetObject"):
        west.read(KEY, 10, 8)


def test_an_object_is_read_from_end_to_end_only_as_it_was_found(east: Any, west: ModelBucket) -> None:
    west.write(KEY, b"weights")
    found = west.describe(KEY)
    assert found is not None
    assert b"".join(west.chunks(KEY, found.etag)) == b"weights"
    west.write(KEY, b"others!")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        list(west.chunks(KEY, found.etag))


def test_a_folder_is_listed_with_sizes(east: Any, west: ModelBucket) -> None:
    west.write(KEY, b"weights")
    west.write("models/llama/v70/a", b"x")
    assert west.list_folder("models/llama/v7/") == {KEY: 7}


def test_errors_of_s3_are_ours(aws: str) -> None:
    nowhere: Any = boto3.client("s3", region_name=aws, endpoint_url="http://127.0.0.1:9")
    with pytest.raises((UnavailableError, AccessDeniedError)):
        ModelBucket(EAST, aws, nowhere).describe(KEY)


def rule(bucket: str, **more: Any) -> dict[str, Any]:
    return {
        "ID": "models",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": "models/"},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"},
        **more,
    }


def answered(answer: dict[str, Any]) -> ModelBucket:
    """A bucket whose rules are these: moto forgets the filter of one."""
    client: Any = boto3.client("s3", region_name="us-east-1")
    with_rules = Stubber(client)
    with_rules.add_response("get_bucket_replication", answer, {"Bucket": EAST})
    with_rules.activate()
    return ModelBucket(EAST, "us-east-1", client)


@pytest.mark.parametrize(
    ("given", "brings"),
    [
        (rule(WEST), True),
        (rule(WEST, Filter={}), True),
        (rule("another"), False),
        (rule(WEST, Status="Disabled"), False),
        (rule(WEST, Filter={"Prefix": "models/other/"}), False),
        (rule(WEST, Filter={"And": {"Prefix": "models/", "Tags": [{"Key": "a", "Value": "b"}]}}), False),
        (rule(WEST, Filter={"Tag": {"Key": "a", "Value": "b"}}), False),
        ({key: value for key, value in rule(WEST, Prefix="models/").items() if key != "Filter"}, True),
    ],
)
def test_a_rule_brings_a_folder_when_it_is_enabled_and_takes_all_of_it(
    aws: str, given: dict[str, Any], brings: bool
) -> None:
    store = answered({"ReplicationConfiguration": {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [given]}})
    assert store.replicates_to(WEST, "models/llama/v7/") is brings


def test_a_bucket_without_rules_replicates_nothing(east: Any) -> None:
    assert ModelBucket(EAST, "us-east-1").replicates_to(WEST, "models/") is False


@pytest.mark.parametrize(
    ("told", "status"), [("COMPLETE", "COMPLETED"), ("PENDING", "PENDING"), ("REPLICA", "REPLICA")]
)
def test_an_object_is_described_with_s3s_replication_status(aws: str, told: Any, status: str) -> None:
    client: Any = boto3.client("s3", region_name="us-east-1")
    with_status = Stubber(client)
    with_status.add_response("head_object", {"ContentLength": 7, "ETag": "e", "ReplicationStatus": told})
    with_status.activate()
    assert ModelBucket(EAST, "us-east-1", client).describe(KEY) == Stored(7, "", "e", status)
