"""JudgeClusters: five checks of each cluster from the evidence, written down, and told when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, capacity, checks, health_figures
from standfast.assessing import VERDICT_TEXT_BYTES, JudgeStep
from standfast.damping import History
from standfast.fleet import parse_input
from standfast.health_news import HealthNews
from standfast.shortening import shortened

if TYPE_CHECKING:
    from standfast.checks import Checked


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the verdict of each cluster in a sentence. Missing evidence makes checks unknown and moves nothing."""
    step = parse_input(JudgeStep, event, "the JudgeClusters task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    config = view.applied.config
    region = config.region(step.scope_id)
    news = HealthNews(step.scope_id, table, table, bootstrap.messenger(), bootstrap.region_table(), now)
    seen = {name: step.of(name, region.cluster(name).replicas) for name in step.cluster_ids}
    judged: list[Checked] = []
    for cluster_id, evidence in seen.items():
        before = view.checks.get(cluster_id)
        history = before.history if before else History()
        checked = checks.judge(evidence, config.model.canary, config.objectives, now, history)
        table.write_checks(checked, evidence.nodes)
        judged.append(checked)
        news.of_change(before, checked)
        news.of_nodes(evidence.nodes)
        if cluster_id in step.loads:
            table.write_load(capacity.follow(view.loads.get(cluster_id), cluster_id, step.loads[cluster_id], now))
    news.of_blindness(
        checks.blindness(list(seen.values())), {name: view.checks[name] for name in seen if name in view.checks}
    )
    health_figures.publish(judged, bootstrap.metrics(), now)
    found = {checked.cluster_id: f"{checked.verdict}: {checked.reason}" for checked in judged}
    said = shortened(found.values(), VERDICT_TEXT_BYTES)
    return {"rounds_left": step.rounds_left - 1, "clusters": {name: said[reason] for name, reason in found.items()}}
