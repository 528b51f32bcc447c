"""JudgeClusters: five checks of each cluster from the evidence, written down, and told when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import announcements, bootstrap, checks, telling
from standfast.assessing import JudgeStep
from standfast.fleet import parse_input
from standfast.health import Verdict

if TYPE_CHECKING:
    from standfast.checks import Checked, NodeHealth


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the verdict of each cluster in a sentence. Missing evidence makes checks unknown and moves nothing."""
    step = parse_input(JudgeStep, event, "the JudgeClusters task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    config = view.applied.config
    found: dict[str, str] = {}
    for cluster_id in step.cluster_ids:
        evidence = step.of(cluster_id, config.region(step.scope_id).cluster(cluster_id).replicas)
        checked = checks.judge(evidence, config.model.canary, config.objectives, now)
        table.write_checks(checked, evidence.nodes)
        bootstrap.metrics().put({"ChecksFailed": checked.failed}, now, cluster_id=cluster_id)
        _tell_of_change(step.scope_id, view.checks.get(cluster_id), checked)
        _tell_of_nodes(step.scope_id, evidence.nodes, now)
        found[cluster_id] = f"{checked.verdict}: {checked.reason}"
    return {"rounds_left": step.rounds_left - 1, "clusters": found}


def _tell_of_change(scope_id: str, before: Checked | None, checked: Checked) -> None:
    """An event for whoever listens. Nobody is woken: what calls for an act is told by who acts."""
    if before is not None and before.verdict is checked.verdict:
        return
    detail = {
        "scope_id": scope_id,
        "cluster_id": checked.cluster_id,
        "before": str(before.verdict) if before else "",
        "verdict": str(checked.verdict),
        "reason": checked.reason,
    }
    bootstrap.messenger().event("ClusterHealthChanged", detail)


def _tell_of_nodes(scope_id: str, health: NodeHealth | None, now: float) -> None:
    """A notice, once, for each node that NVIDIA's documents want reset, rebooted or replaced."""
    for node in health.nodes if health else ():
        if health and node.verdict is Verdict.UNHEALTHY:
            telling.tell(
                announcements.node_condemned(scope_id, health.cluster_id, node.instance_id, node.reason),
                incident_id=f"{scope_id}-{node.instance_id}",
                scope_id=scope_id,
                failed_cluster_id=health.cluster_id,
                incidents=bootstrap.cluster_table(),
                messenger=bootstrap.messenger(),
                now=now,
            )
