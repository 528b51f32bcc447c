"""A FleetConfig document as people hand it in: YAML text, or a mapping."""

from __future__ import annotations

from typing import Any

import yaml

from standfast.errors import InvalidInputError


def read_document(given: dict[str, Any] | str) -> dict[str, Any]:
    """The document. Raises InvalidInputError for what is no YAML and for what is no mapping."""
    if not isinstance(given, str):
        return given
    try:
        document = yaml.safe_load(given)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"config is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInputError("the FleetConfig is not a mapping; begin it with `fleet: <name>`")
    return document
