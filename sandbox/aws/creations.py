"""What a role needs to make something with tags: more than the one action that the request names.

- Tags given with a request are conditions (`aws:RequestTag`), and a permission of their own: AddTags of Elastic Load
  Balancing, with `elasticloadbalancing:CreateAction` ("Grant permission to tag resources on creation", ELB guide),
  CreateOrUpdateTags of Auto Scaling.
- Whoever makes a group by a launch template needs RunInstances by that template, CreateTags for what it tags, and
  PassRole for the node's role ("Control Amazon EC2 launch template usage in Auto Scaling groups", Auto Scaling guide).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource, and the conditions that are true of it alone."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def needs(action: str, parameters: Mapping[str, Any], account: str, region: str) -> list[Need]:
    """All that such a request needs; nothing for an action that makes nothing with tags."""
    made = _MADE.get(action)
    return list(made(parameters, account, region)) if made else []


def group_arn(account: str, region: str, name: str) -> str:
    """The ARN of an Auto Scaling group, there or to be made: then with an id of its own."""
    group = autoscaling_backends[account][region].autoscaling_groups.get(name)
    if group is not None:
        return str(group.arn)
    return f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"


def _tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    return {f"aws:RequestTag/{tag['Key']}": str(tag["Value"]) for tag in parameters.get("Tags") or ()}


def _group(parameters: Mapping[str, Any], account: str, region: str) -> Iterator[Need]:
    arn, tags = group_arn(account, region, str(parameters["AutoScalingGroupName"])), _tags(parameters)
    yield Need("autoscaling:CreateAutoScalingGroup", arn, tags)
    if tags:
        yield Need("autoscaling:CreateOrUpdateTags", arn, tags)
    if named := parameters.get("LaunchTemplate"):
        yield from _launch(named, account, region, tagged=bool(tags))


def _launch(named: Mapping[str, Any], account: str, region: str, *, tagged: bool) -> Iterator[Need]:
    backend = ec2_backends[account][region]
    template = (
        backend.get_launch_template(named["LaunchTemplateId"])
        if named.get("LaunchTemplateId")
        else backend.get_launch_template_by_name(named["LaunchTemplateName"])
    )
    data = template.get_version(str(named.get("Version") or "$Default")).data
    by = {"ec2:LaunchTemplate": f"arn:aws:ec2:{region}:{account}:launch-template/{template.id}"}
    instance = f"arn:aws:ec2:{region}:{account}:instance/*"
    yield Need("ec2:RunInstances", instance, by)
    if image := data.get("ImageId"):
        yield Need("ec2:RunInstances", f"arn:aws:ec2:{region}::image/{image}", by)
    if tagged or data.get("TagSpecifications"):
        yield Need("ec2:CreateTags", instance, {"ec2:CreateAction": "RunInstances"})
    for role in _roles(data.get("IamInstanceProfile") or {}, account):
        yield Need("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})


def _roles(profile: Mapping[str, str], account: str) -> list[str]:
    """The role of an instance profile, which is named by its ARN or its name."""
    found = iam_backends[account]["aws"].instance_profiles.values()
    meant = (each for each in found if profile.get("Arn") == each.arn or profile.get("Name") == each.name)
    return [str(role.arn) for each in meant for role in each.roles]


def _target_group(parameters: Mapping[str, Any], account: str, region: str) -> Iterator[Need]:
    place = f"arn:aws:elasticloadbalancing:{region}:{account}"
    arn = f"{place}:targetgroup/{parameters['Name']}/{uuid.uuid4().hex[:16]}"
    yield from _tagged("CreateTargetGroup", arn, arn, _tags(parameters))


def _rule(parameters: Mapping[str, Any], _account: str, _region: str) -> Iterator[Need]:
    listener = str(parameters["ListenerArn"])
    arn = f"{listener.replace(':listener/', ':listener-rule/')}/{uuid.uuid4().hex[:16]}"
    yield from _tagged("CreateRule", listener, arn, _tags(parameters))


def _tagged(operation: str, asked_of: str, made: str, tags: Mapping[str, str]) -> Iterator[Need]:
    yield Need(f"elasticloadbalancing:{operation}", asked_of, tags)
    if tags:
        by = {"elasticloadbalancing:CreateAction": operation}
        yield Need("elasticloadbalancing:AddTags", made, {**tags, **by})


_MADE: Final[Mapping[str, Callable[[Mapping[str, Any], str, str], Iterator[Need]]]] = {
    "autoscaling:CreateAutoScalingGroup": _group,
    "elasticloadbalancing:CreateTargetGroup": _target_group,
    "elasticloadbalancing:CreateRule": _rule,
}
