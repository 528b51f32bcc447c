"""The Auto Scaling seam: what it is told to terminate is replaced a moment later, and that one alone is registered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.auto_scaling import NO_CAPACITY, NO_QUOTA, AutoScaling
from sandbox.aws.latency import Latencies, LatencyInjector
from sandbox.aws.tags import tag_conditions
from tests.sandbox.conftest import wait_for

REGION = "us-east-1"


@dataclass
class Group:
    """One group of two instances behind a target group."""

    ec2: Any
    elb: Any
    autoscaling: Any
    target_group: str
    seam: AutoScaling
    changes: list[int] = field(default_factory=list)

    def instances(self) -> set[str]:
        found = self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
        return {instance["InstanceId"] for instance in found}

    def targets(self) -> set[str]:
        found = self.elb.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return {each["Target"]["Id"] for each in found}

    def terminate(self, instance_id: str, *, decrement: bool = False) -> None:
        self.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
        )


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        ec2, elb = boto3.client("ec2", REGION), boto3.client("elbv2", REGION)
        autoscaling = boto3.client("autoscaling", REGION)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        tags: list[Any] = [{"Key": "standfast:cluster", "Value": "use1-a"}]
        arn = elb.create_target_group(Name="a", Protocol="HTTP", Port=8000, VpcId=vpc, Tags=tags)["TargetGroups"][0][
            "TargetGroupArn"
        ]
        ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData={"ImageId": "ami-12c6146b"})
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName="a", MinSize=0, MaxSize=4, DesiredCapacity=2, VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateName": "gpu"}, TargetGroupARNs=[arn],
            Tags=[{**tags[0], "PropagateAtLaunch": True}],
        )  # fmt: skip
        seam = AutoScaling(LatencyInjector(Latencies.none()))
        made = Group(ec2, elb, autoscaling, arn, seam)
        seam.on_change(REGION, lambda: made.changes.append(len(made.instances())))
        take_back = seam.install()
        yield made
        take_back()


def test_what_is_terminated_is_replaced_and_only_the_new_one_is_registered(group: Group) -> None:
    sick, other = sorted(group.instances())
    group.elb.deregister_targets(TargetGroupArn=group.target_group, Targets=[{"Id": other}])
    group.terminate(sick)
    wait_for("a replacement", lambda: len(group.changes) == 2)
    (new,) = group.instances() - {other}
    assert group.changes == [1, 2]
    assert group.targets() == {new}
    state = group.ec2.describe_instances(InstanceIds=[sick])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "terminated"
    tags = group.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [new]}])["Tags"]
    assert ("standfast:cluster", "use1-a") in {(tag["Key"], tag["Value"]) for tag in tags}


def test_with_less_capacity_wanted_none_comes(group: Group) -> None:
    sick, other = sorted(group.instances())
    group.terminate(sick, decrement=True)
    wait_for("its end", lambda: group.changes)
    assert group.instances() == {other}


def activities(group: Group) -> list[tuple[str, str]]:
    found = group.autoscaling.describe_scaling_activities(AutoScalingGroupName="a", MaxRecords=2)["Activities"]
    return [(each["StatusCode"], each.get("StatusMessage", "")) for each in found]


@pytest.mark.parametrize("said", [NO_CAPACITY, NO_QUOTA])
def test_where_no_instance_can_be_had_none_comes_and_the_activity_says_why(group: Group, said: str) -> None:
    group.seam.run_out(REGION, said)
    group.terminate(min(group.instances()))
    wait_for("its end", lambda: group.changes)
    assert len(group.instances()) == 1
    assert activities(group) == [("Failed", said)]


def test_what_was_refused_is_launched_once_it_can_be_had(group: Group) -> None:
    group.seam.run_out(REGION)
    group.terminate(min(group.instances()))
    wait_for("its end", lambda: group.changes)
    group.seam.restock(REGION)
    wait_for("a launch", lambda: len(group.changes) == 2)
    assert len(group.instances() & group.targets()) == 2
    assert activities(group) == [("Successful", ""), ("Failed", NO_CAPACITY)]
    group.seam.restock(REGION)  # nothing is wanting: nothing is launched
    assert group.changes == [1, 2]


def test_an_instance_of_no_group_is_refused(group: Group) -> None:
    with pytest.raises(ClientError, match="No managed instance found"):
        group.terminate("i-0123456789abcdef0")


def test_the_tags_of_groups_and_target_groups_are_conditions(group: Group) -> None:
    assert tag_conditions(group.target_group) == {"aws:ResourceTag/standfast:cluster": "use1-a"}
    arn = group.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupARN"]
    assert tag_conditions(arn) == {
        "aws:ResourceTag/standfast:cluster": "use1-a",
        "autoscaling:ResourceTag/standfast:cluster": "use1-a",
    }
