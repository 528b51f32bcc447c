"""HashObjects: read a batch of objects from end to end, and the headers of its shards."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, registering
from standfast.fleet import parse_input
from standfast.replication_steps import HashStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how much was hashed; the hashes lie in the bucket. Raises ModelDamagedError with the file."""
    step = parse_input(HashStep, event, "the HashObjects task")
    region = bootstrap.settings().region
    store, bucket = bootstrap.model_store(region), bootstrap.settings().model_bucket(region)
    before = store.calls
    hashed = registering.hash_batch(step.plan, step.batch, store, bucket)
    return {
        "objects": len(hashed),
        "bytes": sum(each.size for each in hashed),
        "api_calls": store.calls - before,
    }
