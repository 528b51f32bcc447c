"""SelectStandby: choose the proven candidate."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, failover
from standfast.brake import Brake
from standfast.fleet import parse_input
from standfast.steps import SelectionAnswer, SelectStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the selection. Raises NoStandbyProvenError with the reason for each candidate."""
    step = parse_input(SelectStep, event, "the SelectStandby task")
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    region = config.region(step.scope_id)
    tried = step.selection.tried if step.selection else []
    switches = Brake() if step.break_glass else bootstrap.region_table().glance_at_brake()
    chosen = failover.select(
        step.failed_cluster_id,
        [failover.Proof(**proof.model_dump()) for proof in step.proofs],
        view.scope.desired,
        region.clusters,
        config.detection.fresh_seconds,
        bootstrap.clock().now(),
        tried=tried,
        held=switches.held(region.clusters),
        sheds=region.entry.shed_target_group_arn is not None,
    )
    answer = SelectionAnswer(
        cluster_id=chosen.cluster_id,
        reason=chosen.reason,
        overload=chosen.overload,
        tried=[*tried, chosen.cluster_id],
    )
    return answer.model_dump(mode="json")
