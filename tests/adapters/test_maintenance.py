"""What EC2 says of its instances' future."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.maintenance import InstanceMaintenance
from standfast.errors import AccessDeniedError
from tests.builders import NOW

KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture
def stubbed() -> Iterator[tuple[InstanceMaintenance, Stubber]]:
    client: Any = boto3.client("ec2", **KEYS)
    with Stubber(client) as ec2:
        yield InstanceMaintenance(client), ec2
        ec2.assert_no_pending_responses()


def status(name: str, *events: dict[str, Any]) -> dict[str, Any]:
    return {"InstanceId": name, "Events": list(events)}


def event(at: float, description: str = "The instance is running on degraded hardware") -> dict[str, Any]:
    return {"Code": "instance-retirement", "Description": description, "NotBefore": datetime.fromtimestamp(at, UTC)}


def test_the_earliest_date_of_an_instance_counts_and_what_is_over_does_not(
    stubbed: tuple[InstanceMaintenance, Stubber],
) -> None:
    maintenance, ec2 = stubbed
    found = [
        status("i-1", event(NOW + 200), event(NOW + 100)),
        status("i-2", event(NOW, "[Completed] a reboot"), event(NOW, "[Canceled] another")),
        status("i-3"),
    ]
    ec2.add_response("describe_instance_status", {"InstanceStatuses": found}, {"InstanceIds": ["i-1", "i-2", "i-3"]})
    assert maintenance.scheduled({"i-3", "i-2", "i-1"}) == {"i-1": NOW + 100}


def test_many_instances_are_asked_for_a_hundred_at_a_time(stubbed: tuple[InstanceMaintenance, Stubber]) -> None:
    maintenance, ec2 = stubbed
    names = [f"i-{number:03}" for number in range(150)]
    for asked in (names[:100], names[100:]):
        ec2.add_response("describe_instance_status", {"InstanceStatuses": []}, {"InstanceIds": asked})
    assert maintenance.scheduled(names) == {}
    assert maintenance.scheduled(()) == {}


def test_the_instances_of_a_capacity_block_are_those_that_run_in_it(
    stubbed: tuple[InstanceMaintenance, Stubber],
) -> None:
    maintenance, ec2 = stubbed
    asked = {
        "Filters": [
            {"Name": "capacity-reservation-id", "Values": ["cr-1"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    }
    reservations = [{"Instances": [{"InstanceId": "i-2"}, {"InstanceId": "i-1"}]}]
    ec2.add_response("describe_instances", {"Reservations": reservations}, asked)
    assert maintenance.instances_of("cr-1") == ["i-1", "i-2"]


def test_a_missing_permission_is_named(stubbed: tuple[InstanceMaintenance, Stubber]) -> None:
    maintenance, ec2 = stubbed
    ec2.add_client_error("describe_instance_status", "UnauthorizedOperation", "no", 403)
    with pytest.raises(AccessDeniedError, match="DescribeInstanceStatus"):
        maintenance.scheduled(["i-1"])


def test_instances_without_a_schedule_have_none(aws: str) -> None:
    """By moto, which schedules nothing."""
    ec2: Any = boto3.client("ec2", region_name=aws)
    answer = ec2.run_instances(ImageId="ami-12c6146b", MinCount=2, MaxCount=2)
    assert InstanceMaintenance(ec2).scheduled([each["InstanceId"] for each in answer["Instances"]]) == {}
