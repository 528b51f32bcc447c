"""ReportStore on S3: a bucket of each Region."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.ledger_bucket import LedgerBucket
from standfast.errors import AccessDeniedError

HERE, THERE = "us-east-1", "us-west-2"


def name(region: str) -> str:
    return f"chat-ledger-123456789012-{region}"


@pytest.fixture(scope="module")
def bucket(aws: str) -> LedgerBucket:
    for region in (HERE, THERE):
        client = boto3.client("s3", region_name=region)
        more: Any = {} if region == HERE else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=name(region), **more)
    return LedgerBucket(name, aws)


def test_a_report_is_read_back_and_replaced(bucket: LedgerBucket) -> None:
    assert bucket.read("region/2026-11-25.json", HERE) is None
    bucket.write("region/2026-11-25.json", "one", "application/json")
    bucket.write("region/2026-11-25.json", "two: ä", "application/json")
    assert bucket.read("region/2026-11-25.json", HERE) == "two: ä"


def test_a_page_opens_in_a_browser(bucket: LedgerBucket) -> None:
    bucket.write("region/2026-11.html", "<!doctype html>", "text/html; charset=utf-8")
    head = boto3.client("s3", region_name=HERE).head_object(Bucket=name(HERE), Key="region/2026-11.html")
    assert head["ContentType"] == "text/html; charset=utf-8"


def test_another_regions_report_is_read_in_its_own_bucket(bucket: LedgerBucket) -> None:
    LedgerBucket(name, THERE).write("region/2026-11-24.json", "theirs", "application/json")
    assert bucket.read("region/2026-11-24.json", THERE) == "theirs"
    assert bucket.read("region/2026-11-24.json", HERE) is None


def test_a_bucket_that_we_may_not_read_is_said() -> None:
    client = boto3.client("s3", region_name=HERE, aws_access_key_id="none", aws_secret_access_key="none")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        with pytest.raises(AccessDeniedError, match=r"GetObject region/2026-11\.json in us-west-2"):
            LedgerBucket(name, HERE, lambda _: client).read("region/2026-11.json", THERE)
