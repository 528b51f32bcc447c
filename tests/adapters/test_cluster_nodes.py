"""A cluster's instances by their tag, and who of them is in the target group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.cluster_nodes import TaggedNodes
from standfast.errors import AccessDeniedError
from tests.builders import ACTIVE, STANDBY


@dataclass
class Fleet:
    nodes: TaggedNodes
    ec2: Any
    elb: Any
    group: str

    def launch(self, cluster_id: str, count: int) -> list[str]:
        tags = [{"Key": "standfast:cluster", "Value": cluster_id}]
        answer = self.ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=count, MaxCount=count,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )  # fmt: skip
        return sorted(instance["InstanceId"] for instance in answer["Instances"])


@pytest.fixture
def fleet(aws: str) -> Iterator[Fleet]:
    ec2: Any = boto3.client("ec2", region_name=aws)
    elb: Any = boto3.client("elbv2", region_name=aws)
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = elb.create_target_group(Name="a", Protocol="HTTP", Port=8000, VpcId=vpc)["TargetGroups"][0]
    yield Fleet(TaggedNodes(ec2, elb), ec2, elb, made["TargetGroupArn"])
    elb.delete_target_group(TargetGroupArn=made["TargetGroupArn"])
    running = [
        each["InstanceId"] for reservation in ec2.describe_instances()["Reservations"]
        for each in reservation["Instances"]
    ]  # fmt: skip
    ec2.terminate_instances(InstanceIds=running)


def test_every_running_instance_of_the_cluster_is_listed_with_its_replicas_addresses(fleet: Fleet) -> None:
    one, two, gone = fleet.launch(ACTIVE, 3)
    fleet.launch(STANDBY, 1)
    fleet.ec2.terminate_instances(InstanceIds=[gone])
    fleet.elb.register_targets(TargetGroupArn=fleet.group, Targets=[{"Id": one, "Port": 8001}, {"Id": two}])
    fleet.elb.deregister_targets(TargetGroupArn=fleet.group, Targets=[{"Id": two}])
    found = fleet.nodes.instances(ACTIVE, fleet.group)
    assert [(each.instance_id, each.registered) for each in found] == [(one, True), (two, False)]
    assert found[0].urls[0].endswith(":8001")
    assert found[1].urls[0].endswith(":8000")  # the target group's own port
    assert found[0].launched_at > 0


def test_a_node_is_taken_out_and_brought_back_and_twice_is_once(fleet: Fleet) -> None:
    (name,) = fleet.launch(ACTIVE, 1)

    def registered() -> list[bool]:
        return [each.registered for each in fleet.nodes.instances(ACTIVE, fleet.group)]

    for _ in range(2):
        fleet.nodes.bring_back(fleet.group, [name])
        assert registered() == [True]
    for _ in range(2):
        fleet.nodes.take_out(fleet.group, [name])
        assert registered() == [False]


@pytest.mark.parametrize(
    ("state", "reason", "registered"),
    [
        ("unhealthy", "Target.FailedHealthChecks", True),
        ("unused", "Target.NotInUse", True),
        ("draining", "Target.DeregistrationInProgress", False),
    ],
)
def test_a_target_on_its_way_out_is_not_registered(fleet: Fleet, state: str, reason: str, registered: bool) -> None:
    (name,) = fleet.launch(ACTIVE, 1)
    with Stubber(fleet.elb) as stubber:
        health = {"Target": {"Id": name, "Port": 8000}, "TargetHealth": {"State": state, "Reason": reason}}
        stubber.add_response("describe_target_health", {"TargetHealthDescriptions": [health]})
        stubber.add_response("describe_target_groups", {"TargetGroups": [{"Port": 8000}]})
        (found,) = fleet.nodes.instances(ACTIVE, fleet.group)
    assert found.registered is registered


def test_a_missing_permission_is_named(fleet: Fleet) -> None:
    with Stubber(fleet.elb) as stubber:
        stubber.add_client_error("describe_target_groups", "AccessDenied", "no", 403)
        with pytest.raises(AccessDeniedError, match="DescribeTargetGroups"):
            fleet.nodes.bring_back(fleet.group, ["i-1"])
