"""VerifyServing: ask the entry as users do, until it answers, or what took the traffic is found saturated."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from standfast import bootstrap, serving
from standfast.fleet import parse_input
from standfast.model_versions import expected_in
from standfast.steps import ChosenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer when it served. Raises NotServingError. Without leave to change, one canary is asked and not judged."""
    step = parse_input(ChosenStep, event, "the VerifyServing task")
    view = bootstrap.cluster_table().view()
    config = view.applied.config
    url = config.region(step.scope_id).entry.url
    model, prober, clock = (
        expected_in(view, step.selection.cluster_id).model,
        bootstrap.prober(config.model),
        bootstrap.clock(),
    )
    if step.may_change:
        replicas = view.replicas.get(step.selection.cluster_id, ())
        served = asyncio.run(serving.wait_until_serving(url, model, prober, clock, replicas))
    else:
        asyncio.run(prober.ask(url, model.name, model.canary))
        served = serving.Served(1)
    return {"served_at": clock.now(), **asdict(served)}
