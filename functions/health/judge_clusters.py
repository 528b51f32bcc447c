"""JudgeClusters: five checks of each cluster from the evidence, written down, and told when they change."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, checks
from standfast.assessing import VERDICT_TEXT_BYTES, JudgeStep
from standfast.damping import History
from standfast.fleet import parse_input
from standfast.health_news import HealthNews
from standfast.shortening import shortened


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the verdict of each cluster in a sentence. Missing evidence makes checks unknown and moves nothing."""
    step = parse_input(JudgeStep, event, "the JudgeClusters task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    config = view.applied.config
    region = config.region(step.scope_id)
    news = HealthNews(step.scope_id, table, bootstrap.messenger(), bootstrap.region_table(), now)
    seen = {name: step.of(name, region.cluster(name).replicas) for name in step.cluster_ids}
    found: dict[str, str] = {}
    for cluster_id, evidence in seen.items():
        before = view.checks.get(cluster_id)
        history = before.history if before else History()
        checked = checks.judge(evidence, config.model.canary, config.objectives, now, history)
        table.write_checks(checked, evidence.nodes)
        bootstrap.metrics().put({"ChecksFailed": checked.failed}, now, cluster_id=cluster_id)
        news.of_change(before, checked)
        news.of_nodes(evidence.nodes)
        found[cluster_id] = f"{checked.verdict}: {checked.reason}"
    news.of_blindness(
        checks.blindness(list(seen.values())), {name: view.checks[name] for name in seen if name in view.checks}
    )
    said = shortened(found.values(), VERDICT_TEXT_BYTES)
    return {"rounds_left": step.rounds_left - 1, "clusters": {name: said[reason] for name, reason in found.items()}}
