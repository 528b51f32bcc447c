"""DynamoDB, one call at a time, and global tables.

moto reads an item, evaluates the condition and writes in separate steps: two threads may both win a conditional write.
On AWS a write to one item, and a transaction, is atomic. Here every call of DynamoDB takes one lock, so it is too.
A stronger order than AWS's, never a weaker one. The waits that stand for AWS are over before the lock is taken.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

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
