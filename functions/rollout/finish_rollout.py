"""FinishRollout: every touched replica is verified. The pointer flips, or stays where it was; the lease is let go."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, model_versions, rollout_announcements
from standfast.announcements import cause_in_words
from standfast.errors import FencedError
from standfast.fleet import parse_input
from standfast.model_states import ModelState
from standfast.model_versions import ReplicaPhase
from standfast.rollout_keeping import ours, write
from standfast.rollout_steps import EndStep

if TYPE_CHECKING:
    from standfast.fleet import Model
    from standfast.model_versions import ModelUpdate
    from standfast.rollout_steps import RollingPlan
    from standfast.stores import ScopeRecord


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether the new version is live, or has served as a canary, and what was told. Raises FencedError.

    May be repeated.
    """
    step = parse_input(EndStep, event, "the FinishRollout task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    update = _finished(step, view.scope, view.applied.config.model, now)
    stands = table.read(step.scope_id)
    live = model_versions.live(view.applied.config.model, stands.desired.models.get(step.cluster_id))
    if is_live := live == step.to:
        _call_live(step, now)
    left = update.in_phase(ReplicaPhase.LEFT) if update else []
    has_served = step.next is not None and step.next.canary_served and not left
    if is_live:
        announcement = rollout_announcements.completed(step, now)
    elif has_served:
        announcement = rollout_announcements.canary_served(step, now)
    else:
        announcement = rollout_announcements.put_back(step, update.reverting if update else step.reason, left)
    if update is not None and update.surge is not None:
        why = cause_in_words(step.error) if step.error else "nobody knows why"
        announcement = rollout_announcements.with_node_left(announcement, step, update.surge, why)
    bootstrap_telling.tell(
        announcement,
        incident_id=step.incident_id,
        scope_id=step.scope_id,
        failed_cluster_id=step.cluster_id,
        now=now,
    )
    with suppress(FencedError):
        table.release(step.scope_id, token=step.token, attempts=stands.attempts, not_before=stands.not_before)
    return {"succeeded": is_live or has_served, "text": announcement.text}


def _finished(step: RollingPlan, record: ScopeRecord, model: Model, now: float) -> ModelUpdate | None:
    """The update that was ended by this; None where an earlier run of this step did it."""
    known = record.desired.models.get(step.cluster_id)
    if (known is None or known.update is None) and record.desired.token == step.token:
        return None
    served = ours(record, step)
    after = model_versions.finished(model, served)
    write(step, record, after, f"the update {step.rollout_id} is over", bootstrap.cluster_table(), now)
    return served.update


def _call_live(step: RollingPlan, now: float) -> None:
    """The version's own record says so too."""
    models = bootstrap.model_table()
    record = models.read_model(step.to.name, step.to.version)
    if record is not None and record.state is ModelState.VERIFIED:
        models.write_model(record.live(f"{step.cluster_id} serves it", now))
