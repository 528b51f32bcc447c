"""Why a cluster's Auto Scaling group lacks instances, as its activities say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from standfast.aws.scaling_activities import ScalingActivities
from standfast.errors import AccessDeniedError
from standfast.scaling import FailedActivity, Refusal
from tests.builders import ACTIVE, NOW, STANDBY

KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
ASKED = {"AutoScalingGroupName": "gpu", "MaxRecords": 50}


@pytest.fixture
def stubbed() -> Iterator[tuple[ScalingActivities, Stubber]]:
    client: Any = boto3.client("autoscaling", **KEYS)
    with Stubber(client) as groups:
        yield ScalingActivities(client), groups
        groups.assert_no_pending_responses()


def group(instances: int, wanted: int, name: str = "gpu") -> dict[str, Any]:
    member = {"AvailabilityZone": "a", "LifecycleState": "InService", "HealthStatus": "Healthy",
              "ProtectedFromScaleIn": False}  # fmt: skip
    return {
        "AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 8, "DesiredCapacity": wanted, "DefaultCooldown": 300,
        "AvailabilityZones": ["a"], "HealthCheckType": "EC2", "CreatedTime": datetime.fromtimestamp(NOW, UTC),
        "Instances": [{**member, "InstanceId": f"i-{number}"} for number in range(instances)],
    }  # fmt: skip


def activity(status: str, said: str, at: float = NOW) -> dict[str, Any]:
    return {
        "ActivityId": "1", "AutoScalingGroupName": "gpu", "Cause": "a difference", "StatusCode": status,
        "StartTime": datetime.fromtimestamp(at, UTC), "StatusMessage": said,
    }  # fmt: skip


def short(groups: Stubber, *activities: dict[str, Any]) -> None:
    asked = {"Filters": [{"Name": "tag:standfast:cluster", "Values": [ACTIVE]}]}
    groups.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group(3, 4)]}, asked)
    groups.add_response("describe_scaling_activities", {"Activities": list(activities)}, ASKED)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        # The first two are as AWS writes them for a mixed instances policy, the others as for a launch template alone.
        ("Could not launch On-Demand Instances. InsufficientInstanceCapacity - none left.", Refusal.CAPACITY),
        ("Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more.", Refusal.QUOTA),
        ("We currently do not have sufficient g6.2xlarge capacity in the Availability Zone", Refusal.CAPACITY),
        ("You have requested more vCPU capacity than your current vCPU limit of 8 allows", Refusal.QUOTA),
        ("You have requested more instances (7) than your current instance limit of 6 allows", Refusal.QUOTA),
        ("There is no Spot capacity available that matches your request.", Refusal.CAPACITY),
        ("Max spot instance count exceeded. Launching EC2 instance failed.", Refusal.QUOTA),
        ("The key pair 'gpu' does not exist. Launching EC2 instance failed.", Refusal.OTHER),
    ],
)
def test_what_aws_says_of_a_launch_becomes_a_reason(
    stubbed: tuple[ScalingActivities, Stubber], said: str, refusal: Refusal
) -> None:
    scaling, groups = stubbed
    short(groups, activity("Failed", said))
    assert scaling.failed_activities(ACTIVE, NOW - 1) == [FailedActivity("gpu", NOW, refusal, said)]


def test_what_did_not_fail_or_is_long_ago_is_no_reason(stubbed: tuple[ScalingActivities, Stubber]) -> None:
    scaling, groups = stubbed
    short(groups, activity("Successful", "VcpuLimitExceeded"), activity("Failed", "VcpuLimitExceeded", NOW - 3601))
    assert scaling.failed_activities(ACTIVE, NOW - 3600) == []


def test_a_group_that_has_what_it_should_have_is_refused_nothing(stubbed: tuple[ScalingActivities, Stubber]) -> None:
    scaling, groups = stubbed
    groups.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group(4, 4)]})
    assert scaling.failed_activities(ACTIVE, NOW - 3600) == []


@pytest.mark.parametrize("method", ["DescribeAutoScalingGroups", "DescribeScalingActivities"])
def test_a_missing_permission_is_named(stubbed: tuple[ScalingActivities, Stubber], method: str) -> None:
    scaling, groups = stubbed
    if method == "DescribeScalingActivities":
        groups.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group(3, 4)]})
        groups.add_client_error("describe_scaling_activities", "AccessDenied", "no", 403)
    else:
        groups.add_client_error("describe_auto_scaling_groups", "AccessDenied", "no", 403)
    with pytest.raises(AccessDeniedError, match=method):
        scaling.failed_activities(ACTIVE, NOW)


def test_a_group_is_found_by_its_tag(aws: str) -> None:
    """By moto, whose groups are filtered by tag and, without a stand-in, have no activities."""
    ec2: Any = boto3.client("ec2", region_name=aws)
    autoscaling: Any = boto3.client("autoscaling", region_name=aws)
    ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData={"ImageId": "ami-12c6146b"})
    for name, cluster_id in (("a", ACTIVE), ("b", STANDBY)):
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=2, DesiredCapacity=1, AvailabilityZones=[f"{aws}a"],
            LaunchTemplate={"LaunchTemplateName": "gpu"},
            Tags=[{"Key": "standfast:cluster", "Value": cluster_id, "PropagateAtLaunch": True}],
        )  # fmt: skip
    assert list(ScalingActivities(autoscaling)._short_groups(ACTIVE)) == []
    (node,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["a"])["AutoScalingGroups"][0]["Instances"]
    autoscaling.detach_instances(
        InstanceIds=[node["InstanceId"]], AutoScalingGroupName="a", ShouldDecrementDesiredCapacity=False
    )
    assert ScalingActivities(autoscaling).failed_activities(ACTIVE, NOW) == []
