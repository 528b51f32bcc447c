"""WatchS3: how far S3's own replication rule has brought a model, and whether this Region still waits for it."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, pulling, s3_watching
from standfast.fleet import parse_input
from standfast.replication_steps import WatchStep
from standfast.s3_rules import Limits


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan: when to look again, or in which batches is copied what S3 did not bring. May be repeated."""
    plan = parse_input(WatchStep, event, "the WatchS3 task").plan
    source, store = bootstrap.model_store(plan.source_region), bootstrap.model_store(plan.region)
    now = bootstrap.clock().now()
    watched = s3_watching.watch(plan, source, store, Limits(), now)
    bootstrap.metrics().put(s3_watching.figures(watched), now, model=pulling.metric_name(plan))
    return watched.model_dump(mode="json")
