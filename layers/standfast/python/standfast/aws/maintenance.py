"""Maintenance on EC2: which instances a Capacity Block holds, and when AWS takes which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

AT_ONCE: Final = 100
"""Instance ids that DescribeInstanceStatus takes in one call (its API reference)."""
_OVER: Final = ("[Completed]", "[Canceled]")
"""A scheduled event is described for up to a week after its end, which only the beginning of its description tells
(`InstanceStatusEvent`, EC2 API reference)."""


class InstanceMaintenance:
    """What EC2 says of its instances' future."""

    def __init__(self, client: Any = None) -> None:
        self._client = client or boto3.client("ec2", config=config(attempts=3))

    def instances_of(self, reservation_id: str) -> Sequence[str]:
        with translated(f"DescribeInstances of {reservation_id}"):
            pages = self._client.get_paginator("describe_instances").paginate(
                Filters=[
                    {"Name": "capacity-reservation-id", "Values": [reservation_id]},
                    {"Name": "instance-state-name", "Values": ["pending", "running"]},
                ]
            )
            return sorted(
                str(instance["InstanceId"])
                for page in pages
                for reservation in page["Reservations"]
                for instance in reservation["Instances"]
            )

    def scheduled(self, instance_ids: Collection[str]) -> Mapping[str, float]:
        found: dict[str, float] = {}
        names = sorted(instance_ids)
        for first in range(0, len(names), AT_ONCE):
            with translated("DescribeInstanceStatus"):
                answer = self._client.describe_instance_status(InstanceIds=names[first : first + AT_ONCE])
            for status in answer["InstanceStatuses"]:
                for event in status.get("Events") or ():
                    if "NotBefore" in event and not str(event.get("Description", "")).startswith(_OVER):
                        at = event["NotBefore"].timestamp()
                        name = str(status["InstanceId"])
                        found[name] = min(at, found.get(name, at))
        return found
