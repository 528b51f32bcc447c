"""What workflow tests tell: one Region, its clusters, an execution from its input to its end, what reached a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.control import Message
from sandbox.plan import PLANS
from sandbox.region import SandboxRegion

REGION = "us-east-1"
PRIMARY, STANDBY, REPLICAS = PLANS[REGION].primary, PLANS[REGION].standby, PLANS[REGION].replicas
BY_HAND = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": PRIMARY, "reason": "a test moves the traffic"}


def run(region: SandboxRegion, payload: Mapping[str, object]) -> dict[str, Any]:
    """An execution of `cluster_failover`, when it has ended."""
    return region.wait_for_end(region.start_execution(payload))


def pages(region: SandboxRegion, since: int) -> list[Message]:
    """The pages since so many messages."""
    return [message for message in region.messages()[since:] if message.topic == "page"]
