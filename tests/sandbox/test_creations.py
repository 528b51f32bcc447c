"""What a role needs to make groups, target groups and rules with tags, as IAM asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sandbox.aws import creations
from sandbox.aws.creations import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, REGION = "123456789012", "us-east-1"
TAGS = [{"Key": "standfast:made-for", "Value": "fleet"}]
ASKED = {"aws:RequestTag/standfast:made-for": "fleet"}
LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/entry/1/2"


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A launch template whose nodes have a role."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        iam: Any = boto3.client("iam", REGION)
        iam.create_role(RoleName="node", AssumeRolePolicyDocument="{}")
        profile = iam.create_instance_profile(InstanceProfileName="node")["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
        data = {"ImageId": "ami-12c6146b", "IamInstanceProfile": {"Arn": profile}}
        ec2: Any = boto3.client("ec2", REGION)
        made = ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData=data)
        yield made["LaunchTemplate"]["LaunchTemplateId"]


def needed(action: str, parameters: dict[str, Any]) -> list[Need]:
    return creations.needs(action, parameters, ACCOUNT, REGION)


def test_a_group_by_a_launch_template_needs_to_tag_to_launch_by_it_and_to_pass_the_role(template: str) -> None:
    asked = {"AutoScalingGroupName": "g", "LaunchTemplate": {"LaunchTemplateId": template}, "Tags": TAGS}
    make, tag, launch, image, tag_nodes, pass_role = needed("autoscaling:CreateAutoScalingGroup", asked)
    assert [make.action, tag.action] == ["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"]
    assert make.context == tag.context == ASKED
    assert make.resource.endswith(":autoScalingGroupName/g")
    by = {"ec2:LaunchTemplate": f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/{template}"}
    assert launch == Need("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*", by)
    assert image == Need("ec2:RunInstances", f"arn:aws:ec2:{REGION}::image/ami-12c6146b", by)
    assert (tag_nodes.action, tag_nodes.context) == ("ec2:CreateTags", {"ec2:CreateAction": "RunInstances"})
    passed = {"iam:PassedToService": "ec2.amazonaws.com"}
    assert pass_role == Need("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/node", passed)


def test_what_the_entry_is_given_needs_the_permission_to_tag_it_as_it_is_made() -> None:
    make, tag = needed("elasticloadbalancing:CreateRule", {"ListenerArn": LISTENER, "Tags": TAGS})
    assert make == Need("elasticloadbalancing:CreateRule", LISTENER, ASKED)
    assert tag.resource.startswith(LISTENER.replace("listener/", "listener-rule/") + "/")
    assert tag.context == {**ASKED, "elasticloadbalancing:CreateAction": "CreateRule"}
    make, tag = needed("elasticloadbalancing:CreateTargetGroup", {"Name": "g", "Tags": TAGS})
    assert make.resource == tag.resource
    assert ":targetgroup/g/" in tag.resource
    assert [each.action for each in needed("elasticloadbalancing:CreateTargetGroup", {"Name": "g"})] == [
        "elasticloadbalancing:CreateTargetGroup"
    ]
    assert needed("elasticloadbalancing:ModifyRule", {"RuleArn": "r"}) == []
