"""ClusterNodes on EC2 and Elastic Load Balancing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.commands import CLUSTER_TAG
from standfast.recovery_ports import Instance

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_elbv2.type_defs import TargetDescriptionTypeDef

_GONE: Final = frozenset({"draining", "unused"})
"""A target on its way out, or one that the load balancer does not use: no new request reaches it."""
_DEREGISTERING: Final = frozenset({"Target.DeregistrationInProgress", "Target.NotRegistered"})


class TaggedNodes:
    """A cluster's instances by their tag, and its target group."""

    def __init__(self, ec2: Any = None, elb: Any = None) -> None:
        self._ec2 = ec2 or boto3.client("ec2", config=config(attempts=3))
        self._elb = elb or boto3.client("elbv2", config=config(attempts=3))

    def instances(self, cluster_id: str, target_group_arn: str) -> Sequence[Instance]:
        targets = self._targets(target_group_arn)
        port = self._port(target_group_arn)
        found = []
        for instance in self._running(cluster_id):
            name = str(instance["InstanceId"])
            ports = sorted(targets.get(name, ())) or [port]
            urls = tuple(f"http://{instance['PrivateIpAddress']}:{each}" for each in ports)
            found.append(Instance(name, urls, name in targets, instance["LaunchTime"].timestamp()))
        return sorted(found, key=lambda instance: instance.instance_id)

    def take_out(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        targets = self._targets(target_group_arn)
        there: list[TargetDescriptionTypeDef] = [
            {"Id": name, "Port": port} for name in sorted(instance_ids) for port in sorted(targets.get(name, ()))
        ]
        if there:
            with translated("DeregisterTargets"):
                self._elb.deregister_targets(TargetGroupArn=target_group_arn, Targets=there)

    def bring_back(self, target_group_arn: str, instance_ids: Collection[str]) -> None:
        port = self._port(target_group_arn)
        targets: list[TargetDescriptionTypeDef] = [{"Id": name, "Port": port} for name in sorted(instance_ids)]
        with translated("RegisterTargets"):
            self._elb.register_targets(TargetGroupArn=target_group_arn, Targets=targets)

    def _running(self, cluster_id: str) -> list[Mapping[str, Any]]:
        with translated("DescribeInstances"):
            pages = self._ec2.get_paginator("describe_instances").paginate(
                Filters=[
                    {"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster_id]},
                    {"Name": "instance-state-name", "Values": ["pending", "running"]},
                ]
            )
            return [
                instance
                for page in pages
                for reservation in page["Reservations"]
                for instance in reservation["Instances"]
                if "PrivateIpAddress" in instance
            ]

    def _targets(self, target_group_arn: str) -> dict[str, set[int]]:
        """Instance id -> ports, of the targets that requests may reach."""
        with translated("DescribeTargetHealth"):
            answer = self._elb.describe_target_health(TargetGroupArn=target_group_arn)
        found: dict[str, set[int]] = {}
        for each in answer["TargetHealthDescriptions"]:
            health = each["TargetHealth"]
            if health["State"] in _GONE and health.get("Reason") in _DEREGISTERING:
                continue
            found.setdefault(each["Target"]["Id"], set()).add(int(each["Target"]["Port"]))
        return found

    def _port(self, target_group_arn: str) -> int:
        with translated("DescribeTargetGroups"):
            answer = self._elb.describe_target_groups(TargetGroupArns=[target_group_arn])
        return int(answer["TargetGroups"][0]["Port"])
