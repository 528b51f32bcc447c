"""Registering and pulling on S3's own terms: every kind of damage at rest is found, told by kind, and mended alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from sandbox.aws import checksums
from sandbox.fleet.sharded import INDEX, shard_name, sharded_model
from standfast import pulling, registering
from standfast.aws.model_store import ModelBucket
from standfast.manifest import Manifest
from standfast.replication import Damage
from standfast.replication_steps import BatchEnd, CopyStep, PullInput, PullPlan, RegisterInput
from tests.builders import NOW

EAST, WEST = "chat-models-east", "chat-models-west"
PREFIX = "models/tiny/v1/"
ASKED = PullInput(model="tiny", version="v1", source_region="us-east-1")
SHARDS = 6
FILES = sharded_model(2, SHARDS, bytes_each=1_200)


@dataclass
class Place:
    """Two Regions' buckets, and what was pulled into the second."""

    s3: Any
    east: ModelBucket
    west: ModelBucket

    def register(self, files: Any = FILES) -> Manifest:
        for path, body in files.items():
            self.s3.put_object(Bucket=EAST, Key=PREFIX + path, Body=body)
        plan = registering.plan(RegisterInput(model="tiny", version="v1", prefix=PREFIX), "run", self.east)
        for batch in plan.batches:
            registering.hash_batch(plan, batch, self.east, EAST)
        return registering.write_manifest(plan, [BatchEnd() for _ in plan.batches], self.east)

    def pull(self, manifest: Manifest, name: str) -> tuple[PullPlan, int, dict[str, Damage]]:
        plan = pulling.plan(ASKED, manifest, "us-west-2", self.west, name, NOW)
        batches = [CopyStep(plan=plan, batch=batch) for batch in plan.batches]
        copied = sum(pulling.copy_batch(step, self.west, EAST).copied for step in batches)
        return plan, copied, pulling.verify(manifest, self.west)

    def damage(self, path: str, body: bytes | None) -> None:
        if body is None:
            self.s3.delete_object(Bucket=WEST, Key=PREFIX + path)
        else:
            self.s3.put_object(Bucket=WEST, Key=PREFIX + path, Body=body)

    def there(self) -> dict[str, bytes]:
        keys = self.west.list_folder(PREFIX)
        return {key.removeprefix(PREFIX): self.west.read(key) or b"" for key in keys}


@pytest.fixture
def place(aws: str) -> Iterator[Place]:
    take_back = checksums.install()
    s3: Any = boto3.client("s3", region_name=aws)
    s3.create_bucket(Bucket=EAST)
    boto3.client("s3", region_name="us-west-2").create_bucket(
        Bucket=WEST, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    yield Place(s3, ModelBucket(EAST, aws), ModelBucket(WEST, "us-west-2"))
    for bucket in (EAST, WEST):
        for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)
    take_back()


def test_all_damage_at_rest_is_found_by_kind_and_only_what_was_damaged_is_copied(place: Place) -> None:
    manifest = place.register()
    assert place.pull(manifest, "one")[1:] == (len(FILES), {})
    first, fourth = FILES[shard_name(1, SHARDS)], FILES[shard_name(4, SHARDS)]
    place.damage(shard_name(1, SHARDS), first[:-1] + bytes([first[-1] ^ 0xFF]))
    place.damage(shard_name(2, SHARDS), None)
    place.damage(shard_name(4, SHARDS), fourth[:-100])
    place.damage(INDEX, FILES[INDEX].replace(b"layers.1.", b"layers.2."))
    place.s3.create_multipart_upload(Bucket=WEST, Key=PREFIX + shard_name(5, SHARDS))
    plan, copied, wrong = place.pull(manifest, "two")
    assert plan.damaged == {"missing": 1, "size": 1, "bytes": 2}
    assert (plan.aborted_uploads, copied, wrong) == (1, 4, {})
    assert place.there() == dict(FILES)
    assert not place.s3.list_multipart_uploads(Bucket=WEST).get("Uploads")


def test_what_is_there_and_right_takes_two_looks_a_listing_and_no_copy(place: Place) -> None:
    manifest = place.register()
    place.pull(manifest, "one")
    before = place.west.calls
    plan, copied, wrong = place.pull(manifest, "two")
    assert (plan.due, copied, wrong) == (0, 0, {})
    # list, uploads, the note; each object twice; each shard's length and header
    assert place.west.calls - before == 3 + 2 * len(FILES) + 2 * SHARDS


def test_a_new_region_takes_one_copy_and_one_look_an_object_beside_the_headers(place: Place) -> None:
    manifest = place.register()
    before = place.west.calls
    place.pull(manifest, "one")
    # list, uploads, the note and reading it back
    assert place.west.calls - before == 4 + 2 * len(FILES) + 2 * SHARDS
