"""S3 replicates in the sandbox as AWS documents it. No server and no worker: moto's backends in this process."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws import bucket_policies, checksums
from sandbox.aws.authorization import Authorizer
from sandbox.aws.latency import Latencies, LatencyInjector
from sandbox.aws.replication import Replication
from standfast.aws.model_store import ModelBucket
from tests.sandbox.conftest import wait_for

EAST, WEST, SOUTH = "us-east-1", "us-west-2", "sa-east-1"
KEY = "models/tiny/v1/a"
ACCOUNT = "123456789012"
THROUGH_S3 = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": ["kms:Encrypt", "kms:Decrypt"],
    "Resource": "*",
}


class Place:
    """A source bucket and two destinations, each under a key of its Region, and the rule's role."""

    def __init__(self, replication: Replication, authorizer: Authorizer) -> None:
        self.replication, self.authorizer = replication, authorizer
        self.s3: dict[str, Any] = {region: boto3.client("s3", region_name=region) for region in (EAST, WEST, SOUTH)}
        self.iam: Any = boto3.client("iam")
        for region in self.s3:
            self.make(region)
        self.role = self.iam.create_role(RoleName="replicate", AssumeRolePolicyDocument=trust("s3.amazonaws.com"))
        self.permit("s3:ReplicateObject")

    def make(self, region: str) -> None:
        s3, kms = self.s3[region], boto3.client("kms", region_name=region)
        context = {"kms:CallerAccount": ACCOUNT, "kms:ViaService": f"s3.{region}.amazonaws.com"}
        policy = {"Version": "2012-10-17", "Statement": [{**THROUGH_S3, "Condition": {"StringEquals": context}}]}
        key = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]
        kms.create_alias(AliasName="alias/chat", TargetKeyId=key["KeyId"])
        where = {} if region == EAST else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=region, **where)
        s3.put_bucket_versioning(Bucket=region, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}}
        s3.put_bucket_encryption(Bucket=region, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def permit(self, *writing: str) -> None:
        reading = ["s3:GetReplicationConfiguration", "s3:ListBucket", "s3:GetObjectVersion*"]
        statements = [{"Effect": "Allow", "Action": [*reading, *writing], "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.iam.put_role_policy(RoleName="replicate", PolicyName="own", PolicyDocument=document)

    def replicate(self, *regions: str, **more: Any) -> None:
        rules = [
            {
                "ID": region,
                "Status": "Enabled",
                "Priority": number,
                "Filter": {"Prefix": "models/"},
                "DeleteMarkerReplication": {"Status": "Disabled"},
                "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                "Destination": {
                    "Bucket": f"arn:aws:s3:::{region}",
                    "EncryptionConfiguration": {"ReplicaKmsKeyID": f"arn:aws:kms:{region}:{ACCOUNT}:alias/chat"},
                },
                **more,
            }
            for number, region in enumerate(regions, 1)
        ]
        given = {"Role": self.role["Role"]["Arn"], "Rules": rules}
        self.s3[EAST].put_bucket_replication(Bucket=EAST, ReplicationConfiguration=given)

    def put(self, key: str = KEY, body: bytes = b"weights") -> None:
        self.s3[EAST].put_object(Bucket=EAST, Key=key, Body=body)

    def status(self, region: str = EAST, key: str = KEY) -> str:
        return str(self.s3[region].head_object(Bucket=region, Key=key).get("ReplicationStatus", ""))

    def ended(self, key: str = KEY) -> str:
        wait_for("the end", lambda: self.status(key=key) not in ("", "PENDING"))
        return self.status(key=key)

    def is_there(self, region: str, key: str = KEY) -> bool:
        return bool(self.s3[region].list_objects_v2(Bucket=region, Prefix=key).get("Contents"))


def trust(service: str) -> str:
    allow = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


@pytest.fixture
def place() -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_DEFAULT_REGION", EAST)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with mock_aws():
            authorizer = Authorizer(LatencyInjector(Latencies.none()))
            replication = Replication(authorizer)
            undo = [checksums.install(), bucket_policies.install(), replication.install()]
            yield Place(replication, authorizer)
            for take_back in reversed(undo):
                take_back()


def test_an_object_is_brought_with_its_bytes_checksum_and_version_and_is_a_replica_there(place: Place) -> None:
    place.replicate(WEST, SOUTH)
    place.put()
    assert place.ended() == "COMPLETED"
    here = place.s3[EAST].head_object(Bucket=EAST, Key=KEY)
    for region in (WEST, SOUTH):
        there = place.s3[region].get_object(Bucket=region, Key=KEY, ChecksumMode="ENABLED")
        assert there["Body"].read() == b"weights"
        assert there["ChecksumCRC32"] == base64.b64encode(zlib.crc32(b"weights").to_bytes(4, "big")).decode()
        assert (there["VersionId"], there["ReplicationStatus"]) == (here["VersionId"], "REPLICA")
        assert there["SSEKMSKeyId"] == f"arn:aws:kms:{region}:{ACCOUNT}:alias/chat"
    assert not place.authorizer.denials()


def test_a_copy_onto_itself_is_brought_with_the_checksum_that_it_got(place: Place) -> None:
    """As registration does it: the checksum comes last."""
    place.replicate(WEST)
    place.s3[EAST].put_object(Bucket=EAST, Key=KEY, Body=b"weights")
    assert ModelBucket(EAST, EAST).copy(EAST, KEY, 7)
    west = ModelBucket(WEST, WEST)
    wait_for("the replica", lambda: (found := west.describe(KEY)) is not None and found.crc64nvme)
    assert ModelBucket(EAST, EAST).replicates_to(WEST, "models/tiny/v1/")
    assert not ModelBucket(EAST, EAST).replicates_to(SOUTH, "models/tiny/v1/")


def test_what_was_there_before_the_rule_or_lies_elsewhere_is_not_taken(place: Place) -> None:
    place.put()
    place.replicate(WEST)
    place.put("manifests/tiny.json")
    place.put("models/other")
    assert place.ended("models/other") == "COMPLETED"
    assert (place.status(), place.status(key="manifests/tiny.json")) == ("", "")
    assert not place.is_there(WEST, KEY)
    assert not place.is_there(WEST, "manifests/")


def test_while_a_region_is_away_objects_are_pending_and_come_afterwards(place: Place) -> None:
    place.replicate(WEST)
    with place.replication.held():
        place.put()
        assert place.status() == "PENDING"
        assert not place.is_there(WEST)
    assert place.ended() == "COMPLETED"
    assert place.is_there(WEST)


def test_an_object_that_one_destination_refuses_has_failed_though_the_other_has_it(place: Place) -> None:
    place.replicate(WEST, SOUTH)
    place.s3[SOUTH].delete_bucket(Bucket=SOUTH)
    place.put()
    assert place.ended() == "FAILED"
    assert place.is_there(WEST)


def test_it_can_be_made_to_fail_for_some_objects(place: Place) -> None:
    place.replicate(WEST)
    with place.replication.failing("v1/a"):
        place.put()
        place.put("models/other")
        assert (place.ended(), place.ended("models/other")) == ("FAILED", "COMPLETED")
    assert place.status() == "FAILED"


def test_a_role_that_may_not_write_there_fails_every_object_and_is_named(place: Place) -> None:
    place.replicate(WEST)
    place.permit()
    place.put()
    assert place.ended() == "FAILED"
    (denial,) = place.authorizer.denials()
    assert (denial.role, denial.action) == ("replicate", "s3:ReplicateObject")
    assert denial.resource == f"arn:aws:s3:::{WEST}/{KEY}"


def test_a_role_that_s3_may_not_take_fails_every_object(place: Place) -> None:
    place.replicate(WEST)
    place.iam.update_assume_role_policy(RoleName="replicate", PolicyDocument=trust("lambda.amazonaws.com"))
    place.put()
    assert place.ended() == "FAILED"


def test_a_key_of_another_region_or_none_at_all_fails_every_encrypted_object(place: Place) -> None:
    for key in (f"arn:aws:kms:{EAST}:{ACCOUNT}:alias/chat", f"arn:aws:kms:{WEST}:{ACCOUNT}:alias/none"):
        destination = {"Bucket": f"arn:aws:s3:::{WEST}", "EncryptionConfiguration": {"ReplicaKmsKeyID": key}}
        place.replicate(WEST, Destination=destination)
        place.put()
        assert place.ended() == "FAILED"


def test_encrypted_objects_are_left_out_unless_the_rule_takes_them(place: Place) -> None:
    place.replicate(WEST, SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Disabled"}})
    place.put()
    assert place.status() == ""


def test_a_rule_is_refused_before_its_destination_is_there_and_versioned(place: Place) -> None:
    with pytest.raises(ClientError, match="must exist"):
        place.replicate("nowhere")
    place.s3[WEST].put_bucket_versioning(Bucket=WEST, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(ClientError, match="versioning enabled"):
        place.replicate(WEST)
