"""RegionTable on DynamoDB: the switch of all Regions, sights, and what happens when the other Regions do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.calls import config
from standfast.aws.region_table import WRITE_ATTEMPTS, RegionTable
from standfast.brake import Brake
from standfast.errors import CorruptStateError, FencedError, ThrottledError, UnavailableError
from standfast.fleet import Automation
from standfast.health import Verdict
from standfast.release_record import ReleaseRecord
from standfast.stores import Sight
from tests.builders import NOW, switch

TABLE = "standfast-regions"
SIGHT = Sight("us-east-2", "us-east-1", Verdict.HEALTHY, "the entry answers", NOW)


@pytest.fixture(scope="module")
def dynamodb(aws: str) -> Any:
    return boto3.client("dynamodb", region_name=aws)


@pytest.fixture
def table(dynamodb: Any) -> Iterator[RegionTable]:
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield RegionTable(TABLE, dynamodb)
    dynamodb.delete_table(TableName=TABLE)


@pytest.fixture
def stubbed() -> Iterator[tuple[RegionTable, Stubber]]:
    """A table whose answers a test writes."""
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=config(attempts=1),
    )
    with Stubber(client) as stub:
        yield RegionTable(TABLE, client), stub
        stub.assert_no_pending_responses()


def key(partition: str, name: str) -> dict[str, Any]:
    return {"pk": {"S": partition}, "sk": {"S": name}}


def test_a_new_fleet_observes_until_somebody_sets_the_switch(table: RegionTable) -> None:
    assert table.read_brake().fleet.automation is Automation.OBSERVE
    for automation in Automation:
        table.write_switch(switch(automation))
        assert table.read_brake().fleet == table.glance_at_brake().fleet == switch(automation)


def test_regions_and_clusters_have_switches_of_their_own(table: RegionTable) -> None:
    table.write_switch(switch())
    region = replace(switch(Automation.OFF), scope="region/us-west-2")
    cluster = replace(switch(Automation.OBSERVE), scope="cluster/use1-b")
    for each in (region, cluster):
        table.write_switch(each)
    assert table.read_brake() == Brake(switch(), {region.scope: region, cluster.scope: cluster})


def test_each_vantage_point_keeps_one_sight_of_each_region(table: RegionTable) -> None:
    assert table.sights() == []
    other = Sight("us-west-2", "us-east-1", Verdict.UNHEALTHY, "2 probes failed", NOW)
    for sight in (SIGHT, other, SIGHT):
        table.write_sight(sight)
    assert sorted(table.sights(), key=lambda sight: sight.vantage) == [SIGHT, other]


@pytest.mark.parametrize(("attribute", "value"), [("automation", {"S": "maybe"}), ("schema", {"N": "2"})])
def test_a_spoilt_switch_is_refused_by_name(
    table: RegionTable, dynamodb: Any, attribute: str, value: dict[str, Any]
) -> None:
    table.write_switch(switch())
    dynamodb.update_item(
        TableName=TABLE,
        Key=key("FLEET", "SWITCH"),
        UpdateExpression="SET #attribute = :value",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":value": value},
    )
    with pytest.raises(CorruptStateError, match="SWITCH"):
        table.read_brake()


def test_cut_off_from_the_others_the_switch_is_read_as_it_is_known_here(stubbed: tuple[RegionTable, Stubber]) -> None:
    table, stub = stubbed
    where = {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "FLEET"}},
    }
    stub.add_client_error(
        "query", "InternalServerError", http_status_code=500, expected_params={**where, "ConsistentRead": True}
    )
    stub.add_response("query", {"Items": []}, {**where, "ConsistentRead": False})
    assert table.read_brake().fleet.automation is Automation.OBSERVE


def test_a_write_that_met_another_regions_write_is_tried_again(stubbed: tuple[RegionTable, Stubber]) -> None:
    table, stub = stubbed
    stub.add_client_error("put_item", "ReplicatedWriteConflictException", http_status_code=400)
    stub.add_response("put_item", {})
    table.write_switch(switch())


def test_a_write_that_never_gets_through_says_so(stubbed: tuple[RegionTable, Stubber]) -> None:
    table, stub = stubbed
    for _ in range(WRITE_ATTEMPTS):
        stub.add_client_error("put_item", "ReplicatedWriteConflictException", http_status_code=400)
    with pytest.raises(ThrottledError, match="PutItem SWITCH"):
        table.write_switch(switch())


def test_a_write_in_a_region_that_is_cut_off_fails_at_once(stubbed: tuple[RegionTable, Stubber]) -> None:
    table, stub = stubbed
    stub.add_client_error("put_item", "InternalServerError", http_status_code=500)
    with pytest.raises(UnavailableError, match="PutItem SWITCH"):
        table.write_switch(switch())


def test_the_record_of_releases_is_written_over_what_was_seen_only(table: RegionTable) -> None:
    first = ReleaseRecord(1, "arn:1", "v8", "e1", NOW)
    table.write_release(first, seen=table.read_release())
    with pytest.raises(FencedError):
        table.write_release(first, seen=ReleaseRecord())
    started = replace(first, executions=("arn:a", "arn:b"))
    table.write_release(started, seen=first)
    with pytest.raises(FencedError):
        table.write_release(replace(first, ended="aborted"), seen=first)
    table.write_release(replace(started, ended="finished", reason="all"), seen=started)
    assert table.read_release() == replace(started, ended="finished", reason="all")
