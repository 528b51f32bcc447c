"""WriteManifest: whether the whole belongs together; then the manifest, once and for all."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, registering
from standfast.fleet import parse_input
from standfast.model_states import ModelRecord, ModelState
from standfast.replication_steps import Registered, RegistrationStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was registered. The same model again changes nothing; another one by that name is refused."""
    step = parse_input(RegistrationStep, event, "the WriteManifest task")
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    manifest = registering.write_manifest(step.plan, step.hashed, bootstrap.model_store(region))
    table = bootstrap.model_table()
    known = table.read_model(manifest.model, manifest.version)
    if known is None or known.manifest_sha256 != manifest.digest():
        record = ModelRecord(
            manifest.model,
            manifest.version,
            ModelState.REGISTERED,
            manifest.digest(),
            region,
            "its manifest was written here",
            now,
            bytes=manifest.bytes,
            objects=len(manifest.objects),
            revision=known.revision if known else 0,
        )
        table.write_model(record)
    return Registered(
        model=manifest.model,
        version=manifest.version,
        manifest_sha256=manifest.digest(),
        objects=len(manifest.objects),
        bytes=manifest.bytes,
        golden=len(manifest.golden),
    ).model_dump(mode="json")
