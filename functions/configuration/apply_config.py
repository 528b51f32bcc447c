"""Apply a FleetConfig in this Region: validated whole, compared, then set, or nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, configuration
from standfast.errors import InvalidInputError, UnknownScopeError
from standfast.fleet import FleetConfig, parse_input

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class ApplyInput(BaseModel):
    """The document, as YAML text or as JSON."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] | str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the version and the hash that this Region now has. The same document again changes nothing."""
    asked = parse_input(ApplyInput, event, "the input")
    config = FleetConfig.parse(_read(asked.config) if isinstance(asked.config, str) else asked.config)
    scope_id = bootstrap.settings().region
    table = bootstrap.cluster_table()
    only_watches = scope_id in config.watchers
    if not only_watches:
        config.region(scope_id)
    present = _known(table.read_config)
    if (record := _known(lambda: table.read(scope_id))) is not None:
        configuration.check_change(scope_id, config, record.desired)
    if present is None or present.config != config:
        present = table.write_config(config, seen_version=present.version if present else 0)
    created = not only_watches and table.create(configuration.first_record(scope_id, config, bootstrap.clock().now()))
    return {"version": present.version, "sha256": config.digest(), "scope_created": created}


def _known(read: Callable[[], T]) -> T | None:
    """What is read, or None where nothing was applied yet."""
    try:
        return read()
    except UnknownScopeError:
        return None


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"config is no YAML: {error}") from error
