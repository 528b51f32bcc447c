"""DynamoDB, one call at a time, and global tables.

moto reads an item, evaluates the condition and writes in separate steps: two threads may both win a conditional write.
On AWS a write to one item, and a transaction, is atomic. Here every call of DynamoDB takes one lock, so it is too.
A stronger order than AWS's, never a weaker one. The waits that stand for AWS are over before the lock is taken.

moto holds attributes as they go over the wire, and still asks the service's model of each of them, of each name within,
how it is to be written: nearly half of all that this process did. Here they are written as they are.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any, Final

from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import camelcase_to_underscores, get_service_model
from moto.dynamodb.responses import DynamoHandler

from sandbox.aws import global_tables

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWERS_OF_GLOBAL_TABLES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "DescribeTable": global_tables.with_replicas,
    "UpdateTable": global_tables.with_replicas,
}


def install() -> None:
    """Puts the lock round every DynamoDB call. May be called again; it then does nothing."""
    if hasattr(DynamoHandler.put_item, "one_at_a_time"):
        return
    for operation in get_service_model("dynamodb").operation_names:
        name = camelcase_to_underscores(operation)
        if hasattr(DynamoHandler, name):
            setattr(DynamoHandler, name, _one_at_a_time(operation, getattr(DynamoHandler, name)))
    BaseJSONSerializer._serialize_type_structure = _as_it_is(BaseJSONSerializer._serialize_type_structure)


def _one_at_a_time(operation: str, original: Any) -> Any:
    finish = _ANSWERS_OF_GLOBAL_TABLES.get(operation)

    @functools.wraps(original)
    def act(self: Any) -> Any:
        with global_tables.lock:
            global_tables.check(operation, self)
            answer = original(self)
            return finish(self, answer) if finish else answer

    act.one_at_a_time = True  # type: ignore[attr-defined]  # marks the wrapper, so that it is put on once
    return act


def _as_it_is(original: Any) -> Any:
    """Writes an attribute of DynamoDB straight to the answer, and leaves every other structure to moto."""

    @functools.wraps(original)
    def write(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and key:
            serialized[self.get_serialized_name(shape, key)] = wire(value)
        else:
            original(self, serialized, value, shape, key)

    return write


def wire(attribute: dict[str, Any]) -> dict[str, Any]:
    """An attribute of moto's (`{"S": "x"}`, binary as bytes) as JSON holds it (binary in base64)."""
    (kind, held), *_ = attribute.items()
    if kind == "M":
        return {kind: {name: wire(each) for name, each in held.items()}}
    if kind == "L":
        return {kind: [wire(each) for each in held]}
    if kind == "B":
        return {kind: base64.b64encode(held).decode()}
    if kind == "BS":
        return {kind: [base64.b64encode(each).decode() for each in held]}
    return {kind: held}
