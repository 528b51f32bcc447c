"""Apply a FleetConfig in this Region by hand: validated whole, compared, then set, or nothing is changed.

It needs neither the other Regions nor a bucket. Where a version was synced before, what is applied by hand is drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, config_versions, configuration
from standfast.config_reading import read_document
from standfast.errors import UnknownScopeError
from standfast.fleet import parse_input

if TYPE_CHECKING:
    from standfast.stores import ScopeRecord


class ApplyInput(BaseModel):
    """The document, as YAML text or as JSON."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] | str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the version and the hash that this Region now has. The same document again changes nothing."""
    asked = parse_input(ApplyInput, event, "the input")
    scope_id = bootstrap.settings().region
    config = config_versions.effective(read_document(asked.config), scope_id)
    table, scopes = bootstrap.config_table(), bootstrap.cluster_table()
    present = table.standing()
    if (record := _known(scope_id)) is not None:
        configuration.check_change(scope_id, config, record.desired)
    if (present.text, present.sha256) != (config.canonical(), config.digest()):
        present = table.write_standing(config, seen_revision=present.revision, synced=present.synced)
    created = scope_id in config.regions and scopes.create(
        configuration.first_record(scope_id, config, bootstrap.clock().now())
    )
    return {"version": present.revision, "sha256": config.digest(), "scope_created": created}


def _known(scope_id: str) -> ScopeRecord | None:
    """The scope, or None where nothing was applied yet."""
    try:
        return bootstrap.cluster_table().read(scope_id)
    except UnknownScopeError:
        return None
