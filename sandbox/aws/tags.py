"""The condition keys that the tags of a resource make, for the resources that the template narrows by tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OWN_KEYS: Final = {"ec2": "ssm:resourceTag", "autoscaling": "autoscaling:ResourceTag"}
"""What a service calls a tag beside `aws:ResourceTag`. Of an instance Systems Manager asks."""


def tag_conditions(arn: str) -> dict[str, str]:
    """The tags of an instance, a target group, a rule or an Auto Scaling group, under every name; nothing of others."""
    _, _, service, region, account, name = arn.split(":", 5) if arn.count(":") >= 5 else [""] * 6
    if service not in _TAGS:
        return {}
    keys = [key for key in ("aws:ResourceTag", _OWN_KEYS.get(service)) if key]
    return {f"{key}/{tag}": value for tag, value in _TAGS[service](account, region, name).items() for key in keys}


def _of_instance(account: str, region: str, name: str) -> Mapping[str, str]:
    if not name.startswith("instance/"):
        return {}
    instance = ec2_backends[account][region].get_instance_by_id(name.removeprefix("instance/"))
    return {} if instance is None else {tag["key"]: tag["value"] for tag in instance.get_tags()}


def _of_the_entry(account: str, region: str, name: str) -> Mapping[str, str]:
    if not name.startswith(("targetgroup/", "listener-rule/")):
        return {}
    arn = f"arn:aws:elasticloadbalancing:{region}:{account}:{name}"
    tags: Mapping[str, str] = elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(arn)
    return tags


def _of_group(account: str, region: str, name: str) -> Mapping[str, str]:
    group = autoscaling_backends[account][region].autoscaling_groups.get(name.rpartition("autoScalingGroupName/")[2])
    return {} if group is None else {str(tag["Key"]): str(tag["Value"]) for tag in group.tags}


_TAGS: Final[Mapping[str, Callable[[str, str, str], Mapping[str, str]]]] = {
    "ec2": _of_instance,
    "elasticloadbalancing": _of_the_entry,
    "autoscaling": _of_group,
}
