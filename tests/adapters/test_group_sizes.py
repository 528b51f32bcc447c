"""A node more and a node fewer, on moto: asked twice it is done once, and only our cluster's group is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from standfast.aws.group_sizes import AutoScalingSizes
from standfast.errors import AccessDeniedError
from standfast.rollout_ports import GroupSize

CLUSTER, TEMPLATE = "use1-a", "gpu-of-sizes"


@dataclass
class Group:
    """An Auto Scaling group of two instances with the cluster's tag, and one of another cluster beside it."""

    autoscaling: Any
    adapter: AutoScalingSizes

    def instances(self, name: str = CLUSTER) -> list[str]:
        (found,) = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return [each["InstanceId"] for each in found["Instances"]]


@pytest.fixture
def group(aws: str) -> Iterator[Group]:
    ec2, autoscaling = boto3.client("ec2", region_name=aws), boto3.client("autoscaling", region_name=aws)
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    ec2.create_launch_template(LaunchTemplateName=TEMPLATE, LaunchTemplateData={"ImageId": "ami-12c6146b"})
    for name in (CLUSTER, "use1-b"):
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=3, DesiredCapacity=2, VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateName": TEMPLATE},
            Tags=[{"Key": "standfast:cluster", "Value": name, "PropagateAtLaunch": True}],
        )  # fmt: skip
    yield Group(autoscaling, AutoScalingSizes(autoscaling))
    for name in (CLUSTER, "use1-b"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    ec2.delete_launch_template(LaunchTemplateName=TEMPLATE)


def test_it_says_how_many_there_are_and_may_be(group: Group) -> None:
    assert group.adapter.size(CLUSTER, 0.0) == GroupSize(2, 3)
    assert group.adapter.size("use1-z", 0.0) is None


def test_a_node_more_that_is_asked_for_twice_comes_once(group: Group) -> None:
    group.adapter.grow(CLUSTER, 3)
    group.adapter.grow(CLUSTER, 3)
    assert len(group.instances()) == 3
    assert len(group.instances("use1-b")) == 2


def test_the_named_node_goes_and_none_with_the_size_that_is_wanted(group: Group) -> None:
    group.adapter.grow(CLUSTER, 3)
    gone = group.instances()[1]
    group.adapter.shrink(CLUSTER, 2, gone)
    left = group.instances()
    assert len(left) == 2
    assert gone not in left
    group.adapter.shrink(CLUSTER, 2, left[0])
    assert group.instances() == left


@pytest.mark.parametrize("instance_id", ["", "i-0gone"])
def test_without_the_node_the_wish_alone_is_taken_back(group: Group, instance_id: str) -> None:
    group.adapter.grow(CLUSTER, 3)
    group.adapter.shrink(CLUSTER, 2, instance_id)
    assert len(group.instances()) == 2


def test_only_what_was_refused_since_is_told() -> None:
    client = boto3.client("autoscaling", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    now = datetime(2026, 11, 27, 1, 0, tzinfo=UTC)
    group = {
        "AutoScalingGroupName": CLUSTER, "MinSize": 0, "MaxSize": 3, "DesiredCapacity": 3, "DefaultCooldown": 300,
        "AvailabilityZones": ["us-east-1a"], "HealthCheckType": "ELB", "CreatedTime": now,
    }  # fmt: skip
    activity = {
        "ActivityId": "1", "AutoScalingGroupName": CLUSTER, "Cause": "asked", "StartTime": now, "StatusCode": "Failed",
        "StatusMessage": "InsufficientInstanceCapacity",
    }  # fmt: skip
    old = {**activity, "StartTime": now - timedelta(hours=1), "StatusMessage": "long ago"}
    with Stubber(client) as stub:
        for found in ([activity, old], [old]):
            stub.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group]})
            stub.add_response("describe_scaling_activities", {"Activities": found})
        adapter, since = AutoScalingSizes(client), (now - timedelta(minutes=1)).timestamp()
        assert adapter.size(CLUSTER, since) == GroupSize(3, 3, "InsufficientInstanceCapacity")
        assert adapter.size(CLUSTER, since) == GroupSize(3, 3)


def test_a_denied_call_is_our_own_error() -> None:
    class Denied:
        def describe_auto_scaling_groups(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeAutoScalingGroups")

    with pytest.raises(AccessDeniedError, match="DescribeAutoScalingGroups"):
        AutoScalingSizes(Denied()).size(CLUSTER, 0.0)
