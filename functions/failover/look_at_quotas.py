"""LookAtQuotas: would AWS let every cluster of the Region run at once? Asked in a preflight only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from standfast import bootstrap, bootstrap_quotas, quotas
from standfast.fleet import parse_input
from standfast.steps import Plan, QuotaAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the quotas that do not suffice, and what else is known of them. Changes nothing."""
    step = parse_input(Plan, event, "the LookAtQuotas task")
    clusters = bootstrap.cluster_table().read_config().config.region(step.scope_id).clusters
    found = bootstrap_quotas.launching().launches(sorted(clusters))
    service = bootstrap_quotas.service_quotas()
    decision = quotas.decide(step.scope_id, found, {code: service.value(code) for code in quotas.asked(found)})
    return QuotaAnswer.model_validate(asdict(decision)).model_dump(mode="json")
