"""The ports of releases and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.judge_store import JudgeStore
    from standfast.rollout_ports import GroupSizes, ModelLoads, ReplicaTargets, RollingUpdates


@cache
def judge_table() -> JudgeStore:
    """What the judge found so far, in the state table."""
    from standfast.aws.judge_table import JudgeTable

    return JudgeTable(settings().table, settings().region)


@cache
def replica_targets() -> ReplicaTargets:
    """A cluster's targets, one by one."""
    from standfast.aws.replica_targets import TargetsByReplica

    return TargetsByReplica()


@cache
def model_loads() -> ModelLoads:
    """Systems Manager's Run Command, with our own document."""
    from standfast.aws.model_loads import UpdateModelCommands

    return UpdateModelCommands(f"{settings().fleet}-update-model")


@cache
def rolling_updates() -> RollingUpdates:
    """Step Functions, for rolling updates."""
    from standfast.aws.executions import StepFunctions

    own = settings()
    return StepFunctions(own.failover_arn, rolling_arn=own.machine_arn(own.region, "rolling-update"))


@cache
def group_sizes() -> GroupSizes:
    """EC2 Auto Scaling: a node more, and a node fewer."""
    from standfast.aws.group_sizes import AutoScalingSizes

    return AutoScalingSizes()
