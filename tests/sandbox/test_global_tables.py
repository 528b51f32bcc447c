"""The strongly consistent global table: one table in three Regions, and what a Region can do that is cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import DYNAMODB, MRSC, Latencies
from sandbox.aws.roles import RoleClients
from standfast.aws.region_table import RegionTable
from standfast.brake import Switch
from standfast.errors import TransientError
from standfast.fleet import Automation
from tests.sandbox.conftest import ROOT, TRUST

EAST, WEST, OHIO = REGIONS = ("us-east-1", "us-west-2", "us-east-2")
TEMPLATE = Path(__file__).with_name("global_table.yaml")
ITEM = {"pk": {"S": "a"}, "sk": {"S": "1"}}
MRSC_SECONDS = 0.05
Call = Callable[[Any], Any]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(
        regions=REGIONS,
        latencies=Latencies(dynamodb=0.001, mrsc=MRSC_SECONDS),
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as opened:
        opened.deploy("shared", TEMPLATE, {}, region=EAST)
        yield opened


@pytest.fixture
def tables(cloud: Cloud) -> Iterator[dict[str, Any]]:
    """Clients by Region that try once. Whatever a test cuts off is joined again."""
    session: Any = boto3.Session()
    once = Config(retries={"total_max_attempts": 1})
    yield {region: session.client("dynamodb", region_name=region, config=once) for region in REGIONS}
    for region in REGIONS:
        cloud.rejoin(region)


def put(client: Any, value: str) -> None:
    client.put_item(TableName="shared", Item={**ITEM, "value": {"S": value}})


def read(client: Any, *, strong: bool) -> str | None:
    found = client.get_item(TableName="shared", Key=ITEM, ConsistentRead=strong).get("Item")
    return str(found["value"]["S"]) if found else None


def test_what_is_written_in_one_region_is_read_in_the_others_at_once(tables: dict[str, Any]) -> None:
    for region in REGIONS:
        put(tables[region], region)
        assert [read(tables[other], strong=True) for other in REGIONS] == [region] * 3


def test_a_condition_sees_what_another_region_wrote(tables: dict[str, Any]) -> None:
    put(tables[EAST], "first")
    with pytest.raises(tables[WEST].exceptions.ConditionalCheckFailedException):
        tables[WEST].put_item(TableName="shared", Item=ITEM, ConditionExpression="attribute_not_exists(pk)")


def test_a_region_that_is_cut_off_reads_eventually_what_it_knew_last(cloud: Cloud, tables: dict[str, Any]) -> None:
    put(tables[EAST], "before")
    cloud.isolate(WEST)
    put(tables[EAST], "after")
    assert read(tables[WEST], strong=False) == "before"
    assert [read(tables[region], strong=True) for region in (EAST, OHIO)] == ["after", "after"]
    cloud.rejoin(WEST)
    assert read(tables[WEST], strong=True) == "after"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: put(client, "lost"),
        lambda client: client.delete_item(TableName="shared", Key=ITEM),
        lambda client: client.batch_write_item(RequestItems={"shared": [{"PutRequest": {"Item": ITEM}}]}),
        lambda client: client.update_item(
            TableName="shared", Key=ITEM, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": {"N": "1"}}
        ),
        lambda client: read(client, strong=True),
        lambda client: client.scan(TableName="shared", ConsistentRead=True),
        lambda client: client.batch_get_item(RequestItems={"shared": {"Keys": [ITEM], "ConsistentRead": True}}),
    ],
    ids=["put", "delete", "batch write", "update", "strong get", "strong scan", "strong batch get"],
)
def test_a_region_that_is_cut_off_writes_nothing_and_reads_nothing_strongly(
    cloud: Cloud, tables: dict[str, Any], call: Call
) -> None:
    put(tables[EAST], "before")
    cloud.isolate(WEST)
    with pytest.raises(ClientError) as refused:
        call(tables[WEST])
    assert refused.value.response["Error"]["Code"] == "InternalServerError"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert read(tables[EAST], strong=True) == "before"
    cloud.rejoin(WEST)
    call(tables[WEST])


def test_a_region_whose_two_others_are_both_cut_off_is_cut_off_too(cloud: Cloud, tables: dict[str, Any]) -> None:
    cloud.isolate(WEST)
    put(tables[EAST], "two of three")
    cloud.isolate(OHIO)
    with pytest.raises(ClientError, match="InternalServerError"):
        put(tables[EAST], "one of three")
    assert read(tables[EAST], strong=False) == "two of three"


def test_an_ordinary_table_does_not_care_about_other_regions(cloud: Cloud, tables: dict[str, Any]) -> None:
    cloud.isolate(EAST)
    tables[EAST].put_item(TableName="ordinary", Item={"pk": {"S": "a"}})
    assert tables[EAST].get_item(TableName="ordinary", Key={"pk": {"S": "a"}}, ConsistentRead=True)["Item"]


def test_there_are_no_transactions_and_no_ttl(tables: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        tables[EAST].transact_write_items(TransactItems=[{"Put": {"TableName": "shared", "Item": ITEM}}])
    ttl = {"AttributeName": "at", "Enabled": True}
    with pytest.raises(ClientError, match="ValidationException"):
        tables[WEST].update_time_to_live(TableName="shared", TimeToLiveSpecification=ttl)


def test_every_replica_is_described_protected_and_recoverable(tables: dict[str, Any]) -> None:
    for region in REGIONS:
        table = tables[region].describe_table(TableName="shared")["Table"]
        assert table["TableArn"].split(":")[3] == region
        assert table["MultiRegionConsistency"] == "STRONG"
        assert {replica["RegionName"] for replica in table["Replicas"]} == set(REGIONS) - {region}
        assert table["SSEDescription"]["Status"] == "ENABLED"
        assert table["DeletionProtectionEnabled"] is (region == EAST)
        backups = tables[region].describe_continuous_backups(TableName="shared")["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


@pytest.mark.parametrize(
    ("others", "consistency"),
    [((WEST,), "STRONG"), ((WEST, "eu-west-1"), "STRONG"), ((WEST, OHIO), "EVENTUAL")],
    ids=["two Regions", "two sets", "eventual"],
)
def test_what_aws_would_not_make_is_refused(tables: dict[str, Any], others: tuple[str, ...], consistency: str) -> None:
    updates = [{"Create": {"RegionName": region}} for region in others]
    with pytest.raises(ClientError, match="ValidationException"):
        tables[EAST].update_table(TableName="empty", ReplicaUpdates=updates, MultiRegionConsistency=consistency)
    assert "MultiRegionConsistency" not in tables[EAST].describe_table(TableName="empty")["Table"]


def test_a_role_waits_for_the_other_regions_when_it_writes_or_reads_strongly(cloud: Cloud) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": f"arn:aws:dynamodb:{WEST}:*:table/shared"}
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="shares", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_role_policy(RoleName="shares", PolicyName="own", PolicyDocument=document)
    client = RoleClients("test").client(WEST, "dynamodb", role)
    cloud.latency.clear()
    began = time.monotonic()
    put(client, "x")
    read(client, strong=True)
    assert time.monotonic() - began >= 2 * MRSC_SECONDS
    read(client, strong=False)
    waits = [(each.kind, each.detail, each.region) for each in cloud.latency.injections()]
    assert waits == [(MRSC, "PutItem", WEST), (MRSC, "GetItem", WEST), (DYNAMODB, "GetItem", WEST)]


def test_standfast_goes_on_with_what_it_knows_where_it_is_cut_off(cloud: Cloud, tables: dict[str, Any]) -> None:
    east, west = (RegionTable("shared", tables[region]) for region in (EAST, WEST))
    east.write_switch(Switch(Automation.RUN, "a test", "test", 1.0))
    assert west.read_brake().fleet.automation is Automation.RUN
    cloud.isolate(WEST)
    east.write_switch(Switch(Automation.OFF, "a test", "test", 2.0))
    assert west.read_brake().fleet.automation is Automation.RUN
    with pytest.raises(TransientError):
        west.write_switch(Switch(Automation.OBSERVE, "a test", "test", 3.0))
    cloud.rejoin(WEST)
    assert west.read_brake().fleet.automation is Automation.OFF
