"""SelectStandby: choose the proven candidate."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, capacity, failover, planned_move
from standfast.fleet import parse_input
from standfast.steps import SelectionAnswer, SelectStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the selection. Raises NoStandbyProvenError with the reason for each candidate, NoHeadroomError."""
    step = parse_input(SelectStep, event, "the SelectStandby task")
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    region = config.region(step.scope_id)
    tried = step.selection.tried if step.selection else []
    proofs = [failover.Proof(**proof.model_dump()) for proof in step.proofs]
    fresh, now, desired = config.detection.fresh_seconds, bootstrap.clock().now(), view.scope.desired
    if step.move is not None:
        target = step.move.to_cluster_id
        chosen = planned_move.choose(
            step.failed_cluster_id, target, proofs, desired, region.clusters, fresh, now, held=step.held
        )
        fit = capacity.fit(step.failed_cluster_id, chosen.cluster_id, region.clusters, view.loads, now)
        chosen = planned_move.headroom(chosen, fit, accepted=step.move.accept_overload)
    else:
        chosen = failover.select(
            step.failed_cluster_id,
            proofs,
            desired,
            region.clusters,
            fresh,
            now,
            tried=tried,
            held=step.held,
            sheds=region.entry.shed_target_group_arn is not None,
        )
        chosen = capacity.told(
            chosen, step.failed_cluster_id, region.clusters, view.loads, now, config.shedding.low_priority
        )
    answer = SelectionAnswer(
        cluster_id=chosen.cluster_id,
        reason=chosen.reason,
        overload=chosen.overload,
        tried=[*tried, chosen.cluster_id],
        sheds_low_priority=chosen.sheds_low_priority,
    )
    return answer.model_dump(mode="json")
