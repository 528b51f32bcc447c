"""What the Auto Scaling groups of clusters launch, by moto's groups, launch templates and instance types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.group_launches import GroupLaunches
from standfast.errors import AccessDeniedError
from standfast.quotas import Launch, Launches, Market
from tests.builders import ACTIVE, STANDBY

IMAGE = "ami-12c6146b"


@dataclass
class Account:
    """Groups and launch templates are made by it, and gone after each test."""

    region: str
    ec2: Any
    autoscaling: Any

    def template(self, name: str, **data: Any) -> str:
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": IMAGE, **data})
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def version(self, template: str, **data: Any) -> None:
        self.ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData={"ImageId": IMAGE, **data}
        )

    def group(self, name: str, cluster_id: str, instances: int = 0, **how: Any) -> None:
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=8, DesiredCapacity=instances,
            AvailabilityZones=[f"{self.region}a"], **how,
            Tags=[{"Key": "standfast:cluster", "Value": cluster_id, "PropagateAtLaunch": True}],
        )  # fmt: skip

    def launches(self, *cluster_ids: str) -> Launches:
        return GroupLaunches(self.autoscaling, self.ec2).launches(cluster_ids)


@pytest.fixture
def account(aws: str) -> Iterator[Account]:
    made = Account(aws, boto3.client("ec2", region_name=aws), boto3.client("autoscaling", region_name=aws))
    yield made
    for group in made.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        made.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
    for template in made.ec2.describe_launch_templates()["LaunchTemplates"]:
        made.ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])


def by(template: str, version: str = "$Latest") -> dict[str, Any]:
    return {"LaunchTemplate": {"LaunchTemplateId": template, "Version": version}}


def test_each_group_wants_its_desired_capacity_of_its_type(account: Account) -> None:
    small, large = (
        account.template("small", InstanceType="g6.2xlarge"),
        account.template("l", InstanceType="p5.48xlarge"),
    )
    account.group("a", ACTIVE, 4, **by(small))
    account.group("b", STANDBY, 1, **by(large))
    account.group("c", "another-fleets", 3, **by(large))
    assert account.launches(ACTIVE, STANDBY) == Launches(
        (Launch(ACTIVE, "a", "g6.2xlarge", 4, 8), Launch(STANDBY, "b", "p5.48xlarge", 1, 192))
    )


def test_what_does_not_run_yet_is_wanted_all_the_same(account: Account) -> None:
    account.group("a", ACTIVE, 2, **by(account.template("t", InstanceType="g5.xlarge")))
    (group,) = account.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    account.autoscaling.detach_instances(
        InstanceIds=[group["Instances"][0]["InstanceId"]],
        AutoScalingGroupName="a",
        ShouldDecrementDesiredCapacity=False,
    )
    assert account.launches(ACTIVE).known == (Launch(ACTIVE, "a", "g5.xlarge", 2, 4),)


@pytest.mark.parametrize(
    ("version", "instance_type"), [("1", "g5.xlarge"), ("$Default", "g5.xlarge"), ("$Latest", "g6.2xlarge")]
)
def test_the_version_that_the_group_launches_is_read(account: Account, version: str, instance_type: str) -> None:
    template = account.template("t", InstanceType="g5.xlarge")
    account.version(template, InstanceType="g6.2xlarge")
    account.group("a", ACTIVE, 1, **by(template, version))
    assert [launch.instance_type for launch in account.launches(ACTIVE).known] == [instance_type]


def test_a_launch_template_that_asks_for_spot_is_counted_as_spot(account: Account) -> None:
    spot = account.template("t", InstanceType="g5.xlarge", InstanceMarketOptions={"MarketType": "spot"})
    account.group("a", ACTIVE, 1, **by(spot))
    assert [launch.market for launch in account.launches(ACTIVE).known] == [Market.SPOT]


def test_a_capacity_reservation_changes_nothing(account: Account) -> None:
    """Reserved capacity counts towards the quota of On-Demand instances."""
    reserved = {"CapacityReservationSpecification": {"CapacityReservationPreference": "open"}}
    account.group("a", ACTIVE, 1, **by(account.template("t", InstanceType="g5.xlarge", **reserved)))
    assert [launch.market for launch in account.launches(ACTIVE).known] == [Market.ON_DEMAND]


def test_what_nobody_can_say_beforehand_is_said(account: Account) -> None:
    block = {"InstanceType": "p5.48xlarge", "InstanceMarketOptions": {"MarketType": "capacity-block"}}
    some = account.template("some", InstanceType="g5.xlarge")
    overrides = [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g6.xlarge"}]
    launch = {"LaunchTemplateSpecification": {"LaunchTemplateId": some}, "Overrides": overrides}
    account.group("block", ACTIVE, **by(account.template("block", **block)))
    account.group("mixed", ACTIVE, MixedInstancesPolicy={"LaunchTemplate": launch})
    account.group("typeless", ACTIVE, **by(account.template("typeless")))
    account.autoscaling.create_launch_configuration(
        LaunchConfigurationName="old", ImageId=IMAGE, InstanceType="g5.xlarge"
    )
    account.group("old", ACTIVE, LaunchConfigurationName="old")
    assert account.launches(ACTIVE, STANDBY) == Launches(
        (),
        (
            "block launches by the market type capacity-block",
            "mixed has a mixed instances policy: which types it launches is AWS's choice",
            "old has no launch template",
            "typeless has a launch template without an instance type",
            f"{STANDBY} has no Auto Scaling group with its tag",
        ),
    )


@pytest.mark.parametrize(
    ("client", "method", "what"),
    [
        ("autoscaling", "describe_auto_scaling_groups", "DescribeAutoScalingGroups"),
        ("ec2", "describe_launch_template_versions", "DescribeLaunchTemplateVersions of lt-"),
        ("ec2", "describe_instance_types", "DescribeInstanceTypes"),
    ],
)
def test_a_missing_permission_is_named(account: Account, client: str, method: str, what: str) -> None:
    account.group("a", ACTIVE, 1, **by(account.template("t", InstanceType="g5.xlarge")))
    session: Any = boto3.Session(region_name=account.region)
    fresh = session.client(client)
    data = {"LaunchTemplateVersions": [{"LaunchTemplateData": {"InstanceType": "g5.xlarge"}}]}
    with Stubber(fresh) as stub:
        if method == "describe_instance_types":
            stub.add_response("describe_launch_template_versions", data)
        stub.add_client_error(method, "UnauthorizedOperation", "no", 403)
        ports = {"autoscaling": account.autoscaling, "ec2": account.ec2} | {client: fresh}
        with pytest.raises(AccessDeniedError, match=what):
            GroupLaunches(ports["autoscaling"], ports["ec2"]).launches([ACTIVE])
