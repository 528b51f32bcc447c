"""VerifyModel: whether every object in this Region is the manifest's. Only then is the model verified here."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, pulling
from standfast.errors import ModelDamagedError
from standfast.fleet import parse_input
from standfast.replicating import read_manifest
from standfast.replication_steps import VerifyStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Region's status. Raises ModelDamagedError with each object that is missing or wrong, by kind."""
    step = parse_input(VerifyStep, event, "the VerifyModel task")
    plan, table = step.plan, bootstrap.model_table()
    source, store = bootstrap.model_store(plan.source_region), bootstrap.model_store(plan.region)
    before = store.calls
    manifest = read_manifest(source, plan.model, plan.version, plan.source_region)
    wrong = pulling.verify(manifest, store)
    now = bootstrap.clock().now()
    bootstrap.metrics().put(pulling.verify_figures(manifest, wrong), now, model=pulling.metric_name(plan))
    if wrong:
        said = pulling.note_damage(step, manifest, wrong, table, now)
        raise ModelDamagedError(said)
    pulling.keep_manifest(manifest, store)
    pulling.note_verified(plan, manifest, table, bootstrap.cluster_table(), now)
    return pulling.status(step, manifest, store.calls - before, now).model_dump(mode="json")
