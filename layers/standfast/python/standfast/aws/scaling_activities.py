"""Scaling on EC2 Auto Scaling: why a group lacks instances.

Elsewhere nobody reads the text of an error. Here there is nothing else: a scaling activity has no error code, only a
StatusMessage, in which EC2's code stands for groups with a mixed instances policy and, for all others, EC2's sentence
alone ("EC2 instance launch failures" in the Auto Scaling user guide; `Activity` in its API reference). So the text is
read once, here, and becomes a typed Refusal. What no row knows is told as AWS says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.aws.commands import CLUSTER_TAG
from standfast.scaling import FailedActivity, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_ACTIVITIES: Final = 50
"""The newest of a group. A group that cannot launch tries every few minutes: this is more than an hour of them."""
# The codes are of "Error codes for the Amazon EC2 API"; below some, what the page on launch failures has instead.
_REFUSALS: Final[Sequence[tuple[str, Refusal]]] = (
    ("InsufficientInstanceCapacity", Refusal.CAPACITY),
    ("do not have sufficient", Refusal.CAPACITY),
    ("InsufficientHostCapacity", Refusal.CAPACITY),
    ("ReservationCapacityExceeded", Refusal.CAPACITY),
    ("UnfulfillableCapacity", Refusal.CAPACITY),
    ("no Spot capacity available", Refusal.CAPACITY),
    ("VcpuLimitExceeded", Refusal.QUOTA),
    ("current vCPU limit", Refusal.QUOTA),
    ("InstanceLimitExceeded", Refusal.QUOTA),
    ("current instance limit", Refusal.QUOTA),
    ("MaxSpotInstanceCountExceeded", Refusal.QUOTA),
    ("Max spot instance count exceeded", Refusal.QUOTA),
)


class ScalingActivities:
    """The groups of a cluster, by its tag."""

    def __init__(self, client: Any = None) -> None:
        self._client = client or boto3.client("autoscaling", config=config(attempts=3))

    def failed_activities(self, cluster_id: str, since: float) -> Sequence[FailedActivity]:
        return [found for group in self._short_groups(cluster_id) for found in self._failed(group, since)]

    def _short_groups(self, cluster_id: str) -> Iterator[str]:
        with translated("DescribeAutoScalingGroups"):
            pages = self._client.get_paginator("describe_auto_scaling_groups").paginate(
                Filters=[{"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster_id]}]
            )
            for page in pages:
                for group in page["AutoScalingGroups"]:
                    if len(group["Instances"]) < group["DesiredCapacity"]:
                        yield str(group["AutoScalingGroupName"])

    def _failed(self, group: str, since: float) -> Iterator[FailedActivity]:
        with translated(f"DescribeScalingActivities of {group}"):
            answer = self._client.describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=MOST_ACTIVITIES)
        for each in answer["Activities"]:
            at = each["StartTime"].timestamp()
            if each["StatusCode"] == "Failed" and at >= since:
                said = str(each.get("StatusMessage") or each.get("Description") or "no reason was given")
                yield FailedActivity(group, at, _refusal(said), said)


def _refusal(said: str) -> Refusal:
    return next((refusal for words, refusal in _REFUSALS if words.lower() in said.lower()), Refusal.OTHER)
