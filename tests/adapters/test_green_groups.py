"""A cluster like another one, made and removed on moto: nothing of it is left, and nothing of another's is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from standfast.aws.green_groups import GreenClusters
from standfast.errors import StandfastError
from standfast.rollout_plan import Group

IMAGE = "ami-12c6146b"
BLUE, GREEN = "use1-a", "use1-a-g7"


@dataclass
class Region:
    """A listener with a weighted rule over one cluster, blue."""

    elb: Any
    autoscaling: Any
    ec2: Any
    listener: str
    rule: str
    target_group: str
    adapter: GreenClusters

    def provision(self) -> Any:
        return self.adapter.provision(BLUE, self.target_group, self.rule, GREEN)

    def count(self) -> dict[str, int]:
        """How many there are of everything that a deployment makes."""
        instances = [
            instance
            for found in self.ec2.describe_instances()["Reservations"]
            for instance in found["Instances"]
            if instance["State"]["Name"] == "running"
        ]
        return {
            "groups": len(self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]),
            "target groups": len(self.elb.describe_target_groups()["TargetGroups"]),
            "rules": len(self.elb.describe_rules(ListenerArn=self.listener)["Rules"]),
            "instances": len(instances),
        }


@pytest.fixture
def region(aws: str) -> Iterator[Region]:
    ec2, elb = boto3.client("ec2", region_name=aws), boto3.client("elbv2", region_name=aws)
    autoscaling = boto3.client("autoscaling", region_name=aws)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"{aws}{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in ((1, "a"), (2, "b"))
    ]
    balancer = elb.create_load_balancer(Name="entry", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(
        Name="blue", Protocol="HTTP", Port=8000, VpcId=vpc, HealthCheckPath="/health", HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=3, HealthyThresholdCount=2, UnhealthyThresholdCount=2, Matcher={"HttpCode": "200"},
        Tags=[{"Key": "standfast:cluster", "Value": BLUE}],
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    elb.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "77"}]
    )
    forward: Any = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1}]}}
    listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[forward])
    listener_arn = listener["Listeners"][0]["ListenerArn"]
    made = {}
    for priority, field in ((10, BLUE), (100, "*")):
        condition: Any = {
            "Field": "http-header",
            "HttpHeaderConfig": {"HttpHeaderName": "x-standfast-probe", "Values": [field]},
        }
        rule = elb.create_rule(ListenerArn=listener_arn, Priority=priority, Conditions=[condition], Actions=[forward])
        made[field] = rule["Rules"][0]["RuleArn"]
    template = ec2.create_launch_template(
        LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "g6.2xlarge"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="gpu-blue", MinSize=0, MaxSize=8, DesiredCapacity=2, VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"}, TargetGroupARNs=[group],
        Tags=[{"Key": "standfast:cluster", "Value": BLUE, "PropagateAtLaunch": True}],
    )  # fmt: skip
    yield Region(elb, autoscaling, ec2, listener_arn, made["*"], group, GreenClusters("chat", autoscaling, elb, ec2))
    for each in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=each["AutoScalingGroupName"], ForceDelete=True)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    for each in elb.describe_target_groups()["TargetGroups"]:
        elb.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
    ec2.delete_launch_template(LaunchTemplateId=template)


def test_green_is_made_like_blue(region: Region) -> None:
    made = region.provision()
    assert (len(made.instance_ids), made.wanted, made.said) == (2, 2, "")
    groups = region.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    blue, green = sorted(
        groups, key=lambda group: "green" not in group["AutoScalingGroupName"] and group["Tags"][0]["Value"]
    )
    for name in ("LaunchTemplate", "VPCZoneIdentifier", "MinSize", "MaxSize", "DesiredCapacity", "HealthCheckType"):
        assert green[name] == blue[name], name
    assert green["TargetGroupARNs"] == [made.target_group_arn]
    tags = {tag["Key"]: (tag["Value"], tag["PropagateAtLaunch"]) for tag in green["Tags"]}
    assert tags["standfast:cluster"] == (GREEN, True)
    assert tags["standfast:made-for"] == ("chat", True)
    found = {group["TargetGroupArn"]: group for group in region.elb.describe_target_groups()["TargetGroups"]}
    for name in ("Port", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthyThresholdCount", "Matcher"):
        assert found[made.target_group_arn][name] == found[region.target_group][name], name
    attributes = region.elb.describe_target_group_attributes(TargetGroupArn=made.target_group_arn)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "77"} in attributes


def test_its_probe_rule_stands_before_the_rules_that_serve(region: Region) -> None:
    made = region.provision()
    rules = region.elb.describe_rules(ListenerArn=region.listener)["Rules"]
    (probe,) = [rule for rule in rules if any(c["HttpHeaderConfig"]["Values"] == [GREEN] for c in rule["Conditions"])]
    assert int(probe["Priority"]) < 100
    assert probe["Actions"][0]["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"] == made.target_group_arn


def test_made_twice_it_is_there_once(region: Region) -> None:
    first, counted = region.provision(), region.count()
    assert region.provision() == first
    assert region.count() == counted


def test_what_was_made_is_removed_and_nothing_else(region: Region) -> None:
    before = region.count()
    region.provision()
    assert region.count() != before
    for _ in range(4):
        if not region.adapter.remove(GREEN):
            break
    assert region.count() == before
    assert region.adapter.remove(GREEN) == ()


@pytest.mark.parametrize("broken", ["create_rule", "create_auto_scaling_group", "modify_target_group_attributes"])
def test_made_half_way_it_is_removed_all_the_same(region: Region, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = region.count()
    client = region.autoscaling if hasattr(region.autoscaling, broken) else region.elb

    def fails(**_: object) -> None:
        raise StandfastError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(client, broken, fails)
        with pytest.raises(StandfastError):
            region.provision()
    while region.adapter.remove(GREEN):
        pass
    assert region.count() == before


def test_a_target_group_in_use_goes_once_nothing_names_it(region: Region) -> None:
    made = region.provision()
    weighted: Any = [
        {"TargetGroupArn": region.target_group, "Weight": 1},
        {"TargetGroupArn": made.target_group_arn, "Weight": 0},
    ]
    region.elb.modify_rule(
        RuleArn=region.rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}]
    )
    region.adapter.remove(GREEN)
    region.adapter.remove(GREEN)
    assert region.adapter.remove(GREEN)[0].startswith("target group")
    region.elb.modify_rule(
        RuleArn=region.rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted[:1]}}]
    )
    region.adapter.remove(GREEN)
    assert region.adapter.remove(GREEN) == ()


def test_of_a_group_that_a_team_made_only_the_nodes_go(region: Region) -> None:
    assert region.adapter.remove(BLUE) == ("2 instances of gpu-blue",)
    assert region.adapter.remove(BLUE) == ()
    (group,) = region.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (0, 0, 8)
    assert len(region.elb.describe_target_groups()["TargetGroups"]) == 1


def test_what_there_is_of_a_cluster(region: Region) -> None:
    assert region.adapter.group(BLUE, region.target_group) == Group(2, 8)
    assert region.adapter.group("another", region.target_group) is None
    found = region.adapter.group(BLUE, "arn:another")
    assert found is not None
    assert found.obstacle == "its group gpu-blue does not register its nodes with arn:another alone"


def test_what_cannot_be_copied_is_not_begun(region: Region) -> None:
    before = region.count()
    with pytest.raises(StandfastError, match="nothing can be made like use1-a"):
        region.adapter.provision(BLUE, "arn:another", region.rule, GREEN)
    assert region.count() == before
