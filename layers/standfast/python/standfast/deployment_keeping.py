"""A deployment's record in desired state: read and written under the token of the execution that is at work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import bootstrap, telling
from standfast.errors import FencedError
from standfast.shifting import check_lease

if TYPE_CHECKING:
    from standfast.announcements import Announcement
    from standfast.deployment_steps import DeploymentPlan
    from standfast.deployments import Deployment
    from standfast.stores import ScopeRecord, ScopeStore
    from standfast.traffic import Desired


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


def tell(plan: DeploymentPlan, announcement: Announcement, now: float) -> bool:
    """Tell it once of this deployment."""
    return telling.tell(
        announcement,
        incident_id=plan.incident_id,
        scope_id=plan.scope_id,
        failed_cluster_id=plan.cluster_id,
        incidents=bootstrap.cluster_table(),
        messenger=bootstrap.messenger(),
        switches=bootstrap.region_table(),
        now=now,
    )
