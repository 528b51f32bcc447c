"""SmokeTest: the restored configuration is what everybody reads, and the entry answers by it. In the VPC."""

from __future__ import annotations

import asyncio
from typing import Any

from standfast import bootstrap, serving
from standfast.errors import ConflictError
from standfast.fleet import parse_input
from standfast.restore_steps import FrozenStep, ServedAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer when it served. Raises NotServingError, ConflictError when another configuration is in force by now."""
    step = parse_input(FrozenStep, event, "the SmokeTest task")
    clock = bootstrap.clock()
    config = bootstrap.cluster_table().read_config().config
    if config.digest() != step.config_sha256:
        raise ConflictError("the configuration that is in force is not the one that was restored")
    if not step.serves:
        return ServedAnswer(served_at=clock.now(), canaries=0).model_dump()
    url, prober = config.region(step.region).entry.url, bootstrap.prober(config.model)
    served = asyncio.run(serving.wait_until_serving(url, config.model, prober, clock))
    return ServedAnswer(served_at=clock.now(), canaries=served.canaries).model_dump()
