"""The Auto Scaling seam: what is wanted comes a moment later, and that alone is registered; what is not wanted goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.auto_scaling import NO_CAPACITY, NO_QUOTA, AutoScaling, stabilized
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
    subnet: str
    changes: list[int] = field(default_factory=list)

    def instances(self, name: str = "a") -> set[str]:
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return {instance["InstanceId"] for group in found for instance in group["Instances"]}

    def make(self, name: str, desired: int) -> None:
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=4, DesiredCapacity=desired, VPCZoneIdentifier=self.subnet,
            LaunchTemplate={"LaunchTemplateName": "gpu"}, TargetGroupARNs=[self.target_group],
            Tags=[{"Key": "standfast:cluster", "Value": "use1-a", "PropagateAtLaunch": True}],
        )  # fmt: skip

    def states(self, instance_ids: set[str]) -> set[str]:
        found = self.ec2.describe_instances(InstanceIds=sorted(instance_ids))["Reservations"]
        return {instance["State"]["Name"] for each in found for instance in each["Instances"]}

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
        seam = AutoScaling(LatencyInjector(Latencies.none()))
        made = Group(ec2, elb, autoscaling, arn, seam, subnet)
        made.make("a", 2)
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


def test_a_group_that_is_made_gets_its_instances_later_and_one_of_a_stack_at_once(group: Group) -> None:
    group.make("b", 2)
    wait_for("its instances", lambda: group.changes)
    assert len(group.instances("b")) == 2
    assert group.targets() == group.instances("a") | group.instances("b")
    assert activities(group, "b") == [("Successful", "")]
    with stabilized():
        group.make("c", 2)
    assert len(group.instances("c")) == 2
    with pytest.raises(ClientError, match="already exists") as refused:
        group.make("b", 2)
    assert refused.value.response["Error"]["Code"] == "AlreadyExists"


def test_a_group_grows_by_what_it_wants_and_shrinks_by_the_oldest(group: Group) -> None:
    before = group.instances()
    group.elb.deregister_targets(TargetGroupArn=group.target_group, Targets=[{"Id": each} for each in before])
    group.autoscaling.set_desired_capacity(AutoScalingGroupName="a", DesiredCapacity=3)
    wait_for("one more", lambda: group.changes == [3])
    (new,) = group.instances() - before
    assert group.targets() == {new}  # what somebody deregistered stays so
    with pytest.raises(ClientError, match="New SetDesiredCapacity value 5 is above max value 4"):
        group.autoscaling.set_desired_capacity(AutoScalingGroupName="a", DesiredCapacity=5)
    group.autoscaling.update_auto_scaling_group(AutoScalingGroupName="a", MinSize=0, DesiredCapacity=1)
    wait_for("two fewer", lambda: group.changes == [3, 1])
    assert group.instances() == {new}
    assert group.states(before) == {"terminated"}


def test_a_group_goes_with_its_instances_by_force_only(group: Group) -> None:
    before = group.instances()
    with pytest.raises(ClientError) as refused:
        group.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="a")
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    group.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="a", ForceDelete=True)
    wait_for("its end", lambda: not group.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"])
    assert group.states(before) == {"terminated"}
    assert group.targets() == set()
    assert group.changes == [0]


def test_a_group_for_which_there_are_no_instances_says_so_and_gets_them_later(group: Group) -> None:
    group.seam.run_out(REGION)
    group.make("b", 1)
    assert activities(group, "b") == [("Failed", NO_CAPACITY)]
    assert group.instances("b") == set()
    group.seam.restock(REGION)
    wait_for("a launch", lambda: group.changes)
    assert len(group.instances("b")) == 1


def activities(group: Group, name: str = "a") -> list[tuple[str, str]]:
    found = group.autoscaling.describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=2)["Activities"]
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
