"""VerifyServing: ask the entry as users do, until it answers."""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import bootstrap, serving
from standfast.fleet import parse_input
from standfast.steps import ChosenStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer when it served. Raises NotServingError. Without leave to change, one canary is asked and not judged."""
    step = parse_input(ChosenStep, event, "the VerifyServing task")
    config = bootstrap.cluster_table().view().applied.config
    url = config.region(step.scope_id).entry.url
    prober, clock = bootstrap.prober(config.model.engine), bootstrap.clock()
    if step.may_change:
        asked = asyncio.run(serving.wait_until_serving(url, config.model, prober, clock))
    else:
        asyncio.run(prober.ask(url, config.model.name, config.model.canary))
        asked = 1
    return {"served_at": clock.now(), "canaries": asked}
