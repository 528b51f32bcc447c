"""Faults in AWS's answers, as the real client in a function sees them."""

from __future__ import annotations

import pytest

from sandbox.aws.faults import FaultKind
from tests.sandbox.conftest import Bench

WRITES = """
import boto3
from botocore.config import Config

table = boto3.client("dynamodb", config=Config(read_timeout=3, retries={"total_max_attempts": 1}))

def handler(event, context):
    try:
        table.put_item(TableName="faulty", Item={"pk": {"S": event}})
        return "written"
    except Exception as error:
        answer = getattr(error, "response", None) or {}
        return answer.get("Error", {}).get("Code") or type(error).__name__
"""


@pytest.fixture(scope="module")
def writes(bench: Bench) -> str:
    bench.cloud.client("dynamodb").create_table(
        TableName="faulty",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/faulty"
    bench.function("writes", WRITES, {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arn}, timeout=15)
    return "writes"


def is_there(bench: Bench, key: str) -> bool:
    return "Item" in bench.cloud.client("dynamodb").get_item(TableName="faulty", Key={"pk": {"S": key}})


@pytest.mark.parametrize(
    ("kind", "seen", "written"),
    [
        (FaultKind.THROTTLE, "ProvisionedThroughputExceededException", False),
        (FaultKind.ACCESS_DENIED, "AccessDeniedException", False),
        (FaultKind.TIME_OUT, "ReadTimeoutError", False),
        (FaultKind.RESPONSE_LOST, "ConnectionClosedError", True),
    ],
)
def test_a_fault_is_seen_as_aws_shows_it_and_goes_away(
    bench: Bench, writes: str, kind: FaultKind, seen: str, *, written: bool
) -> None:
    with bench.cloud.faults.injected("writes-role", kind, 1) as fault:
        assert bench.invoke(writes, kind) == (None, seen)
        assert is_there(bench, kind) is written
        assert bench.invoke(writes, "after") == (None, "written")
    assert fault.met == 1


def test_other_roles_meet_no_fault(bench: Bench, writes: str) -> None:
    with bench.cloud.faults.injected("another-role", FaultKind.THROTTLE) as fault:
        assert bench.invoke(writes, "well") == (None, "written")
    assert fault.met == 0


def test_a_fault_of_one_region_is_met_there_only(bench: Bench, writes: str) -> None:
    with bench.cloud.faults.injected("writes-role", FaultKind.THROTTLE, region="us-west-2") as elsewhere:
        assert bench.invoke(writes, "here") == (None, "written")
    assert elsewhere.met == 0
    with bench.cloud.faults.injected("writes-role", FaultKind.THROTTLE, region=bench.cloud.regions[0]) as here:
        assert bench.invoke(writes, "there")[1] != "written"
    assert here.met == 1
