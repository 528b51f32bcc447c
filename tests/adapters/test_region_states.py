"""The Regions' record on DynamoDB: the lease that expires, what is written under it, and what is kept fresh."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast import region_moving, region_record
from standfast.aws.calls import config
from standfast.aws.cluster_table import ClusterTable
from standfast.aws.region_states import WRITE_ATTEMPTS, RegionStates
from standfast.aws.region_table import RegionTable
from standfast.brake import check_not_frozen
from standfast.errors import (
    AutomationOffError,
    ConflictError,
    CorruptStateError,
    FencedError,
    LeaseHeldError,
    ThrottledError,
)
from standfast.region_ports import VALID_SECONDS, Heartbeat, RegionLease, RegionPurpose, RegionRecord
from tests.builders import NOW, switch

TABLE = "standfast-regions"
EAST, WEST = "us-east-1", "us-west-2"
ONE, TWO = "arn:aws:states:us-west-2:123456789012:execution:standfast-region-failover:one", "arn:two"
EVACUATE = RegionPurpose.EVACUATE


@pytest.fixture(scope="module")
def dynamodb(aws: str) -> Any:
    return boto3.client("dynamodb", region_name=aws)


@pytest.fixture
def states(dynamodb: Any) -> Iterator[RegionStates]:
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield RegionStates(TABLE, dynamodb)
    dynamodb.delete_table(TableName=TABLE)


def condemned(region: str, now: float = NOW) -> Callable[[RegionRecord], RegionRecord]:
    def made(record: RegionRecord) -> RegionRecord:
        return region_record.condemn(
            record, region, serving=(EAST, WEST), by=("us-east-2", WEST), reason="dead", incident_id="i-1", now=now
        )

    return made


def test_nothing_was_ever_written(states: RegionStates) -> None:
    assert states.read_regions() == states.glance_at_regions() == RegionRecord()
    assert states.heartbeats() == []


def test_all_of_a_record_comes_back(states: RegionStates) -> None:
    lease = region_moving.take(states, ONE, EVACUATE, NOW)
    written = region_moving.change(states, lease.token, condemned(EAST), NOW + 1)
    expires = NOW + 1 + region_record.LEASE_SECONDS
    assert states.read_regions() == replace(written, lease=replace(lease, expires_at=expires))
    moved = region_moving.change(
        states,
        lease.token,
        lambda record: region_record.send(
            record, WEST, {WEST: 250, EAST: 0}, serving=(EAST, WEST), reason="a try", now=NOW + 2
        ),
        NOW + 2,
    )
    found = states.read_regions()
    assert (
        (found.weights, found.before, found.version)
        == ({WEST: {WEST: 250, EAST: 0}}, {}, 2)
        == (
            moved.weights,
            moved.before,
            moved.version,
        )
    )


def test_the_switches_are_read_beside_the_record(states: RegionStates, dynamodb: Any) -> None:
    lease = region_moving.take(states, ONE, EVACUATE, NOW)
    table = RegionTable(TABLE, dynamodb)
    table.write_switch(switch())
    region_moving.change(states, lease.token, condemned(EAST), NOW)
    assert table.read_brake().fleet == switch()


def test_a_lease_is_in_one_hand_until_it_expires(states: RegionStates) -> None:
    first = region_moving.take(states, ONE, EVACUATE, NOW)
    assert region_moving.take(states, ONE, EVACUATE, NOW + 30).token == first.token == 1
    with pytest.raises(LeaseHeldError, match="for evacuate, for 50 s more"):
        region_moving.take(states, TWO, EVACUATE, NOW + 40)
    second = region_moving.take(states, TWO, EVACUATE, NOW + 90)
    assert second.token == 2
    with pytest.raises(FencedError, match="it is at token 2"):
        region_moving.change(states, first.token, condemned(EAST), NOW + 91)
    with pytest.raises(FencedError):
        states.renew(token=first.token, expires_at=NOW + 1000)
    with pytest.raises(FencedError):
        states.release(token=first.token, attempts=0, not_before=0.0)
    assert states.read_regions().condemned == {}


def test_an_expiry_that_was_renewed_between_read_and_write_is_respected(states: RegionStates) -> None:
    first = region_moving.take(states, ONE, EVACUATE, NOW)
    states.renew(token=first.token, expires_at=NOW + 500)
    with pytest.raises(ConflictError):
        states.grant(seen=first, lease=RegionLease(2, TWO, EVACUATE, NOW + 90, NOW + 150), now=NOW + 90)


def test_an_evacuation_takes_the_lease_from_a_planned_move(states: RegionStates) -> None:
    planned = region_moving.take(states, ONE, RegionPurpose.SWITCHOVER, NOW)
    taken = region_moving.take(states, TWO, EVACUATE, NOW + 1)
    assert taken.token == planned.token + 1
    with pytest.raises(LeaseHeldError):
        region_moving.take(states, ONE, RegionPurpose.RETURN, NOW + 2)


def test_what_was_written_between_is_seen_and_nothing_is_lost(states: RegionStates) -> None:
    lease = region_moving.take(states, ONE, EVACUATE, NOW)
    seen = states.read_regions()
    region_moving.change(states, lease.token, condemned(EAST), NOW)
    with pytest.raises(ConflictError, match="version 0"):
        states.write_regions(condemned(WEST)(seen), token=lease.token, seen_version=seen.version)


def test_a_lease_that_was_given_back_writes_nothing(states: RegionStates) -> None:
    lease = region_moving.take(states, ONE, EVACUATE, NOW)
    assert region_moving.give_back(states, lease.token, failed=True, retry_seconds=60, now=NOW) == NOW + 60
    assert region_moving.give_back(states, lease.token, failed=True, retry_seconds=60, now=NOW + 9) == NOW + 60
    with pytest.raises(FencedError):
        region_moving.change(states, lease.token, condemned(EAST), NOW)
    record = states.read_regions()
    assert (record.attempts, record.not_before, record.lease.holder) == (1, NOW + 60, None)


def test_what_is_condemned_is_kept_fresh_until_it_lapsed(states: RegionStates) -> None:
    lease = region_moving.take(states, ONE, EVACUATE, NOW)
    region_moving.change(states, lease.token, condemned(EAST), NOW)
    assert region_moving.keep_fresh(states, NOW + 10) == ()
    assert region_moving.keep_fresh(states, NOW + 40) == (EAST,)
    assert states.glance_at_regions().condemned[EAST].valid_until == NOW + 40 + VALID_SECONDS
    assert not states.confirm(EAST, incident_id="another", valid_until=NOW + 999, now=NOW + 50)
    assert not states.confirm(WEST, incident_id="i-1", valid_until=NOW + 999, now=NOW + 50)
    late = NOW + 41 + VALID_SECONDS
    assert region_moving.keep_fresh(states, late) == ()
    assert not states.confirm(EAST, incident_id="i-1", valid_until=late + 120, now=late)


def test_a_heartbeat_comes_back(states: RegionStates) -> None:
    beat = Heartbeat(EAST, NOW, True, "2 of 2 replicas pass", "", 12, 40, "https://verdict.test", "use1-a is busy")
    states.write_heartbeat(beat)
    states.write_heartbeat(replace(beat, region=WEST, requests=None, room=None, mending="a failover runs"))
    assert sorted(states.heartbeats(), key=lambda each: each.region) == [
        beat,
        replace(beat, region=WEST, requests=None, room=None, mending="a failover runs"),
    ]


def test_an_item_by_hand_is_no_record(states: RegionStates, dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "FLEET"}, "sk": {"S": "REGIONS"}, "schema": {"N": "1"}})
    with pytest.raises(CorruptStateError, match="REGIONS"):
        states.read_regions()


@pytest.fixture
def stubbed() -> Iterator[tuple[RegionStates, Stubber]]:
    """A table whose answers a test writes."""
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=config(attempts=1),
    )
    with Stubber(client) as stub:
        yield RegionStates(TABLE, client), stub
        stub.assert_no_pending_responses()


def test_two_regions_that_write_at_once_are_no_refusal(stubbed: tuple[RegionStates, Stubber]) -> None:
    states, stub = stubbed
    stub.add_client_error("update_item", "ReplicatedWriteConflictException")
    stub.add_response("update_item", {})
    states.renew(token=1, expires_at=NOW)


def test_a_conflict_that_does_not_end_is_said(stubbed: tuple[RegionStates, Stubber]) -> None:
    states, stub = stubbed
    for _ in range(WRITE_ATTEMPTS):
        stub.add_client_error("update_item", "ReplicatedWriteConflictException")
    with pytest.raises(ThrottledError):
        states.renew(token=1, expires_at=NOW)


def test_rollouts_are_frozen_while_a_region_is_condemned(states: RegionStates, dynamodb: Any) -> None:
    table, now = RegionTable(TABLE, dynamodb), time.time()
    table.write_switch(switch())
    assert table.read_brake().frozen == ""
    lease = region_moving.take(states, ONE, EVACUATE, now)
    region_moving.change(states, lease.token, condemned(EAST, now), now)
    region_moving.give_back(states, lease.token, failed=False, retry_seconds=0, now=now)
    assert table.glance_at_brake().frozen == "us-east-1 is condemned (dead), and the others carry its users"
    with pytest.raises(AutomationOffError, match="rollouts are frozen: us-east-1 is condemned"):
        check_not_frozen(table.read_brake())


def test_the_watch_of_the_regions_has_a_relay_of_its_own(states: RegionStates, dynamodb: Any) -> None:
    first, clusters = (ClusterTable(TABLE, EAST, dynamodb, watch=name) for name in ("WATCH#REGIONS", "WATCH"))
    assert (first.relay(), first.enter(), first.enter(), clusters.enter()) == (0, 1, 2, 1)
    first.take_over(2)
    first.take_over(1)
    assert (first.relay(), clusters.relay()) == (2, 0)
