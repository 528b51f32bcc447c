"""DynamoDB items to plain values and back, and the schema version that every item carries."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from standfast.errors import CorruptStateError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
"""The version of every item's layout. An item of another version is refused, never guessed at."""

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def encode(value: object) -> Any:
    """A plain value (str, int, float, bool, None, list, dict) as a DynamoDB attribute value."""
    return _serializer.serialize(_decimal(value))


def encode_item(item: Mapping[str, object]) -> dict[str, Any]:
    """A plain mapping as a DynamoDB item, with the schema version."""
    return {name: encode(value) for name, value in {"schema": SCHEMA, **item}.items()}


def decode_item(item: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A DynamoDB item as plain values. Raises CorruptStateError when its schema version is not ours."""
    plain = {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}
    if plain.get("schema") != SCHEMA:
        raise CorruptStateError(
            f"{what} has schema version {plain.get('schema')!r}, this release knows {SCHEMA}; "
            "it was written by another release or by hand: put the right item back"
        )
    return plain


def _decimal(value: object) -> object:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _decimal(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_decimal(entry) for entry in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
