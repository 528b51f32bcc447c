"""ProbeEndpoints: a canary to every replica of the clusters that are assessed, and what its engine says of itself."""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import assessment_round, bootstrap, capacity
from standfast.assessing import AssessmentPlan, EndpointEvidence
from standfast.fleet import parse_input
from standfast.golden import question
from standfast.model_versions import expected_in


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what each replica answered, by cluster."""
    plan = parse_input(AssessmentPlan, event, "the ProbeEndpoints task")
    table = bootstrap.cluster_table()
    view = table.view()
    config = view.applied.config
    replicas = {cluster_id: view.replicas.get(cluster_id, ()) for cluster_id in plan.cluster_ids}
    served = {
        each.replica_id: expected_in(view, each.cluster_id, each.replica_id)
        for addresses in replicas.values()
        for each in addresses
    }
    now, prompt = bootstrap.clock().now(), config.model.canary.prompt
    known = {each.version for each in served.values() if not each.changing}
    golden = {each: question(table.read_golden(each.name, each.version), prompt, now) for each in known}
    prober, clock = bootstrap.prober(config.model), bootstrap.clock()
    answers, said = asyncio.run(assessment_round.ask(replicas, config, served, golden, prober, clock))
    loads = {
        cluster_id: capacity.reading_of([said[address.replica_id].metrics for address in addresses])
        for cluster_id, addresses in replicas.items()
    }
    return EndpointEvidence.of(answers, loads).model_dump(mode="json", exclude_defaults=True)
