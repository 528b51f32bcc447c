"""GroupSizes on EC2 Auto Scaling. A cluster's group is found by its tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.green_groups import group_of
from standfast.rollout_ports import GroupSize

if TYPE_CHECKING:
    from collections.abc import Mapping


class AutoScalingSizes:
    """The groups of this Region."""

    def __init__(self, autoscaling: Any = None) -> None:
        self._autoscaling: Any = autoscaling or boto3.client("autoscaling", config=config(attempts=3))

    def size(self, cluster_id: str, since: float) -> GroupSize | None:
        group = self._group(cluster_id)
        if group is None:
            return None
        return GroupSize(int(group["DesiredCapacity"]), int(group["MaxSize"]), self._refusal(group, since))

    def grow(self, cluster_id: str, nodes: int) -> None:
        group = self._group(cluster_id)
        if group is not None and group["DesiredCapacity"] < nodes:
            self._want(group, nodes)

    def shrink(self, cluster_id: str, nodes: int, instance_id: str) -> None:
        group = self._group(cluster_id)
        if group is None or group["DesiredCapacity"] <= nodes:
            return
        if instance_id not in {each["InstanceId"] for each in group["Instances"]}:
            self._want(group, nodes)
            return
        with translated("TerminateInstanceInAutoScalingGroup"):
            self._autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
            )

    def _want(self, group: Mapping[str, Any], nodes: int) -> None:
        with translated("SetDesiredCapacity"):
            self._autoscaling.set_desired_capacity(
                AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=nodes, HonorCooldown=False
            )

    def _group(self, cluster_id: str) -> Mapping[str, Any] | None:
        return group_of(self._autoscaling, cluster_id)

    def _refusal(self, group: Mapping[str, Any], since: float) -> str:
        with translated("DescribeScalingActivities"):
            answer = self._autoscaling.describe_scaling_activities(
                AutoScalingGroupName=group["AutoScalingGroupName"], MaxRecords=10
            )
        failed = (
            each
            for each in answer["Activities"]
            if each["StatusCode"] == "Failed" and each["StartTime"].timestamp() >= since
        )
        return next((str(each.get("StatusMessage", "")) for each in failed), "")
