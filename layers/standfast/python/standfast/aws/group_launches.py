"""Launching on EC2 Auto Scaling: of what type, and how many, the groups of a cluster want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.commands import CLUSTER_TAG
from standfast.quotas import Launch, Launches, Market

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT_VERSION: Final = "$Default"
"""The version of a launch template that is meant where a group names none (`LaunchTemplateSpecification`)."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a group launches, before anybody knows how many vCPUs that has."""

    cluster_id: str
    group: str
    instances: int
    instance_type: str
    market: Market


class GroupLaunches:
    """The groups of clusters, by their tag, with their launch templates."""

    def __init__(self, autoscaling: Any = None, ec2: Any = None) -> None:
        self._autoscaling = autoscaling or boto3.client("autoscaling", config=config(attempts=2))
        self._ec2: Any = ec2 or boto3.client("ec2", config=config(attempts=2))

    def launches(self, cluster_ids: Sequence[str]) -> Launches:
        wanted: list[_Wanted] = []
        unjudged: list[str] = []
        missing = set(cluster_ids)
        for group in self._groups(cluster_ids):
            cluster_id = next(tag["Value"] for tag in group["Tags"] if tag["Key"] == CLUSTER_TAG)
            missing.discard(cluster_id)
            found = self._wanted(cluster_id, group)
            if isinstance(found, _Wanted):
                wanted.append(found)
            else:
                unjudged.append(found)
        unjudged += [f"{cluster_id} has no Auto Scaling group with its tag" for cluster_id in sorted(missing)]
        vcpus = self._vcpus(sorted({each.instance_type for each in wanted}))
        known = (
            Launch(
                each.cluster_id, each.group, each.instance_type, each.instances, vcpus[each.instance_type], each.market
            )
            for each in wanted
        )
        return Launches(tuple(known), tuple(unjudged))

    def _groups(self, cluster_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        with translated("DescribeAutoScalingGroups"):
            pages = self._autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
                Filters=[{"Name": f"tag:{CLUSTER_TAG}", "Values": list(cluster_ids)}]
            )
            found = [group for page in pages for group in page["AutoScalingGroups"]]
        return sorted(found, key=lambda group: str(group["AutoScalingGroupName"]))

    def _wanted(self, cluster_id: str, group: Mapping[str, Any]) -> _Wanted | str:
        """What it launches; or, in words, why nobody can say it."""
        name = str(group["AutoScalingGroupName"])
        if "MixedInstancesPolicy" in group:
            return f"{name} has a mixed instances policy: which types it launches is AWS's choice"
        if "LaunchTemplate" not in group:
            return f"{name} has no launch template"
        data = self._template(group["LaunchTemplate"])
        if "InstanceType" not in data:
            return f"{name} has a launch template without an instance type"
        market = data.get("InstanceMarketOptions", {}).get("MarketType", Market.ON_DEMAND)
        if market not in tuple(Market):
            return f"{name} launches by the market type {market}"  # such as capacity-block
        return _Wanted(cluster_id, name, int(group["DesiredCapacity"]), str(data["InstanceType"]), Market(market))

    def _template(self, named: Mapping[str, Any]) -> Mapping[str, Any]:
        template, version = str(named["LaunchTemplateId"]), str(named.get("Version") or _DEFAULT_VERSION)
        with translated(f"DescribeLaunchTemplateVersions of {template}"):
            answer = self._ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=[version])
        data: Mapping[str, Any] = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data

    def _vcpus(self, instance_types: Sequence[str]) -> Mapping[str, int]:
        """By type, as many as it has by default: CPU options of a launch template can only lower that."""
        if not instance_types:
            return {}
        with translated("DescribeInstanceTypes"):
            answer = self._ec2.describe_instance_types(InstanceTypes=list(instance_types))
        return {str(each["InstanceType"]): int(each["VCpuInfo"]["DefaultVCpus"]) for each in answer["InstanceTypes"]}
