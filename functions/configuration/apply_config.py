"""Apply a FleetConfig in this Region: validated whole, compared, then set, or nothing is changed."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, configuration
from standfast.errors import InvalidInputError, UnknownScopeError
from standfast.fleet import FleetConfig, parse_input


class ApplyInput(BaseModel):
    """The document, as YAML text or as JSON."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] | str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the version and the hash that this Region now has. The same document again changes nothing."""
    asked = parse_input(ApplyInput, event, "the input")
    config = FleetConfig.parse(_read(asked.config) if isinstance(asked.config, str) else asked.config)
    scope_id = bootstrap.settings().region
    config.region(scope_id)
    table = bootstrap.cluster_table()
    try:
        present = table.read_config()
    except UnknownScopeError:
        present = None
    first = configuration.first_record(scope_id, config, bootstrap.clock().now())
    if present is not None:
        configuration.check_change(scope_id, config, table.read(scope_id).desired)
    if present is None or present.config != config:
        present = table.write_config(config, seen_version=present.version if present else 0)
    created = table.create(first)
    return {"version": present.version, "sha256": config.digest(), "scope_created": created}


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"config is no YAML: {error}") from error
