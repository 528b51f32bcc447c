"""CopyObjects: copy a batch of objects from the source Region's bucket, side by side."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, pulling
from standfast.fleet import parse_input
from standfast.replication_steps import CopyStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how much was copied. Raises the first error once all others of the batch were tried."""
    step = parse_input(CopyStep, event, "the CopyObjects task")
    store, clock = bootstrap.model_store(bootstrap.settings().region), bootstrap.clock()
    source_bucket = bootstrap.settings().model_bucket(step.plan.source_region)
    before, began = store.calls, clock.now()
    copied = pulling.copy_batch(step, store, source_bucket)
    figures = pulling.copy_figures(copied, clock.now() - began)
    bootstrap.metrics().put(figures, clock.now(), model=pulling.metric_name(step.plan))
    return {**copied.model_dump(mode="json"), "api_calls": store.calls - before}
