"""The ports of a preflight that asks for AWS's quotas: see bootstrap, whose rules hold here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from standfast.quotas import Launching, ServiceQuotas


@cache
def launching() -> Launching:
    """Auto Scaling and EC2: what the clusters' groups launch."""
    from standfast.aws.group_launches import GroupLaunches

    return GroupLaunches()


@cache
def service_quotas() -> ServiceQuotas:
    """Service Quotas, for EC2."""
    from standfast.aws.service_quotas import Ec2Quotas

    return Ec2Quotas()
