"""A deployment's record in desired state: read and written under the token of the execution that is at work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.deployment_steps import RemovedAnswer
from standfast.errors import FencedError, NotConvergedError
from standfast.shifting import check_lease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.deployment_steps import DeploymentPlan, RemoveStep
    from standfast.deployments import Deployment
    from standfast.stores import ScopeRecord, ScopeStore
    from standfast.traffic import Desired

GIVEN_UP_SECONDS = 1800.0
"""Nodes that have not gone by then are a person's: each of them costs."""
SETTLED_SECONDS = 30.0
"""A step of an execution that was outrun is over by then (the time-outs of its functions)."""


def ours(record: ScopeRecord, plan: DeploymentPlan) -> Deployment:
    """The deployment of this plan. Raises FencedError when it is another's, or over, or the lease is."""
    check_lease(record, plan.execution_arn, plan.token)
    found = record.desired.deployment
    if found is None or found.deployment_id != plan.deployment_id:
        raise FencedError(f"the deployment {plan.deployment_id} of {plan.cluster_id} is not under way any more")
    return found


def write(plan: DeploymentPlan, record: ScopeRecord, following: Desired, store: ScopeStore) -> None:
    """Replace desired state. Raises FencedError, and ConflictError when somebody wrote between."""
    store.write_desired(plan.scope_id, token=plan.token, seen_version=record.desired.version, desired=following)


def removal(step: RemoveStep, cluster_id: str, left: Sequence[str], now: float) -> RemovedAnswer:
    """How far the removal of a cluster is, of which `left` is still there.

    Raises NotConvergedError when it will not go. Of a deployment that was outrun nothing is called gone before a last
    step of its execution is over, which may still make something.
    """
    began = step.removal.began_at if step.removal else now
    if left and now - began > GIVEN_UP_SECONDS:
        raise NotConvergedError(f"{', '.join(left)} of {cluster_id} did not go in {now - began:.0f} s")
    sure = step.way == "forward" or now - began >= SETTLED_SECONDS
    return RemovedAnswer(removed=not left and sure, left=list(left), began_at=began)
