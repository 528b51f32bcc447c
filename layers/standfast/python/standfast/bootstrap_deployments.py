"""The ports of deployments and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.deployment_ports import Deployments, GreenGroups


@cache
def green_groups() -> GreenGroups:
    """Auto Scaling and Elastic Load Balancing."""
    from standfast.aws.green_groups import GreenClusters

    return GreenClusters(settings().fleet)


@cache
def deployments() -> Deployments:
    """Step Functions, for deployments."""
    from standfast.aws.executions import StepFunctions

    own = settings()
    return StepFunctions(own.failover_arn, deployment_arn=own.machine_arn(own.region, "blue-green-deployment"))
