"""The IAM seam: a role may what its policies allow, and is denied by name what they do not."""

from __future__ import annotations

import json

import pytest

from sandbox.aws.policies import is_allowed
from tests.sandbox.conftest import Bench

USES = """
import boto3

table, topics, loads, bus = (boto3.client(name) for name in ("dynamodb", "sns", "elbv2", "events"))
entry = {"Source": "x", "DetailType": "x", "Detail": "{}", "EventBusName": "theirs"}
calls = {
    "read": lambda: table.get_item(TableName="things", Key={"pk": {"S": "x"}}).get("Item"),
    "write": lambda: bool(table.put_item(TableName="things", Item={"pk": {"S": "x"}})),
    "describe": lambda: len(loads.describe_load_balancers()["LoadBalancers"]),
    "publish": lambda: bool(topics.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:other", Message="x")),
    "put": lambda: bus.put_events(Entries=[entry])["FailedEntryCount"],
}

def handler(event, context):
    try:
        return calls[event]()
    except Exception as error:
        return type(error).__name__
"""
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/things"


@pytest.fixture(scope="module")
def uses(bench: Bench) -> str:
    bench.cloud.client("dynamodb").create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    bench.function(
        "uses",
        USES,
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE},
        {"Effect": "Allow", "Action": "elasticloadbalancing:Describe*", "Resource": "*"},
    )
    return "uses"


def test_what_is_allowed_works_and_waits_as_long_as_aws_would(bench: Bench, uses: str) -> None:
    bench.cloud.latency.clear()
    assert bench.invoke(uses, "read") == (None, None)
    assert bench.invoke(uses, "describe") == (None, 0)
    waits = {(one.kind, one.detail): one.ended_at - one.started_at for one in bench.cloud.latency.injections()}
    assert waits["dynamodb", "GetItem"] >= 0.02
    assert waits["elb_call", "DescribeLoadBalancers"] >= 0.05
    assert {one.caller for one in bench.cloud.latency.injections()} == {"uses-role"}


@pytest.mark.parametrize(
    ("event", "action", "resource"),
    [
        ("write", "dynamodb:PutItem", TABLE),
        ("publish", "sns:Publish", "arn:aws:sns:us-east-1:123456789012:other"),
        ("put", "events:PutEvents", "arn:aws:events:us-east-1:123456789012:event-bus/theirs"),
    ],
)
def test_what_is_not_allowed_is_denied_by_name(bench: Bench, uses: str, event: str, action: str, resource: str) -> None:
    bench.cloud.forgive("uses-role")
    _, raised = bench.invoke(uses, event)
    assert raised in ("ClientError", "AccessDeniedException", "AuthorizationErrorException")
    (denial,) = bench.cloud.denials()
    assert (denial.role, denial.action, denial.resource) == ("uses-role", action, resource)
    bench.cloud.forgive("uses-role")
    assert not bench.cloud.denials()


USES_A_BUCKET = """
import boto3

def handler(event, context):
    s3 = boto3.client("s3")
    try:
        if event.get("version"):
            return s3.get_object(Bucket=event["bucket"], Key="x", VersionId=event["version"])["Body"].read().decode()
        return s3.get_object(Bucket=event["bucket"], Key="x")["Body"].read().decode()
    except Exception as error:
        return str(error)
"""
WITHOUT_TLS: dict[str, object] = {"Bool": {"aws:SecureTransport": "false"}}
WITH_TLS: dict[str, object] = {"Bool": {"aws:SecureTransport": "true"}}


def bucket_with(bench: Bench, name: str, condition: dict[str, object]) -> str:
    """A bucket whose policy denies all under the condition. Answers the version of its one object."""
    s3 = bench.cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    arns = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": arns, "Condition": condition}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return str(s3.put_object(Bucket=name, Key="x", Body=b"in it")["VersionId"])


def test_a_bucket_policy_denies_what_it_says_and_no_more(bench: Bench) -> None:
    bucket_with(bench, "for-tls", WITHOUT_TLS)
    bucket_with(bench, "for-nobody", WITH_TLS)
    bench.function(
        "reads", USES_A_BUCKET, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::for-*/*"}
    )
    assert bench.invoke("reads", {"bucket": "for-tls"}) == (None, "in it")
    assert "AccessDenied" in str(bench.invoke("reads", {"bucket": "for-nobody"}))
    (denial,) = bench.cloud.denials()
    assert denial.resource == "arn:aws:s3:::for-nobody/x"
    bench.cloud.forgive("reads-role")


def test_an_earlier_version_of_an_object_is_a_permission_of_its_own(bench: Bench) -> None:
    version = bucket_with(bench, "for-versions", WITHOUT_TLS)
    bench.function(
        "reads-now", USES_A_BUCKET, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::for-*/*"}
    )
    assert "AccessDenied" in str(bench.invoke("reads-now", {"bucket": "for-versions", "version": version}))
    assert {denial.action for denial in bench.cloud.denials()} == {"s3:GetObjectVersion"}
    bench.cloud.forgive("reads-now-role")


def _document(**statement: object) -> dict[str, object]:
    return {"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*", **statement}}


@pytest.mark.parametrize(
    ("documents", "allowed"),
    [
        ([_document()], True),
        ([], False),
        ([_document(Resource="arn:aws:s3:::c/*")], False),
        ([_document(Action="s3:Put*")], False),
        ([_document(), _document(Effect="Deny")], False),
        ([_document(Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})], True),
        ([_document(Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})], False),
        ([_document(Condition={"StringEquals": {"s3:unknown": "x"}})], False),
        ([_document(Condition={"NumericLessThan": {"aws:RequestedRegion": "1"}})], False),
    ],
)
def test_policies_are_read_as_iam_reads_them(documents: list[object], *, allowed: bool) -> None:
    context = {"aws:RequestedRegion": "us-east-1"}
    assert is_allowed(documents, "s3:GetObject", "arn:aws:s3:::b/key", context) is allowed


def test_an_administrator_is_neither_checked_nor_delayed(bench: Bench, uses: str) -> None:
    bench.cloud.latency.clear()
    bench.cloud.client("dynamodb").put_item(TableName="things", Item={"pk": {"S": "y"}})
    assert not bench.cloud.latency.injections()
