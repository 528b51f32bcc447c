"""An update's record in desired state: read and written under the token of the execution that is at work on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast.errors import FencedError
from standfast.shifting import check_lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from standfast.model_versions import ModelUpdate, ServedModel
    from standfast.rollout_steps import RollingPlan
    from standfast.stores import ScopeRecord, ScopeStore


def ours(record: ScopeRecord, plan: RollingPlan) -> ServedModel:
    """What the cluster serves, with the update of this plan. Raises FencedError when it is another's, or over."""
    check_lease(record, plan.execution_arn, plan.token)
    served = record.desired.models.get(plan.cluster_id)
    if served is None or served.update is None or served.update.rollout_id != plan.rollout_id:
        raise FencedError(f"the update {plan.rollout_id} of {plan.cluster_id} is not under way any more")
    return served


def update_of(served: ServedModel) -> ModelUpdate:
    """The update that `ours` found. Raises FencedError when there is none."""
    if served.update is None:
        raise FencedError("no update is under way")
    return served.update


def note(
    plan: RollingPlan, change: Callable[[ModelUpdate], ModelUpdate], reason: str, store: ScopeStore, now: float
) -> ServedModel:
    """Write what `change` makes of the update, and answer it. May be repeated: what is so already is not written.

    Raises FencedError when somebody else was granted the lease, ConflictError when somebody wrote between.
    """
    record = store.read(plan.scope_id)
    served = ours(record, plan)
    changed = replace(served, update=change(update_of(served)))
    if changed != served:
        write(plan, record, changed, reason, store, now)
    return changed


def write(
    plan: RollingPlan, record: ScopeRecord, served: ServedModel | None, reason: str, store: ScopeStore, now: float
) -> None:
    """Replace the cluster's record; None: FleetConfig alone says what it serves. Raises what `note` raises."""
    desired = record.desired
    following = desired.next(token=plan.token, reason=reason, now=now, models={plan.cluster_id: served})
    store.write_desired(plan.scope_id, token=plan.token, seen_version=desired.version, desired=following)
