"""What workflow tests tell: one Region, its clusters, an execution from its input to its end, what reached a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def denied(region: SandboxRegion, state: str, action: str = "dynamodb:*") -> Iterator[None]:
    """Take a right of a function away, such as its access to the state table, as a broken policy would."""
    iam = region.client("iam")
    role = region.role_of(state)
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="injected-fault", PolicyDocument=document)
    before = len(region.cloud.denials())
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="injected-fault")
        assert any(denial.role == role for denial in region.cloud.denials()[before:]), "the fault was never met"
        region.cloud.forgive(role)
