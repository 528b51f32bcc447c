"""DynamoDB, one call at a time.

moto reads an item, evaluates the condition and writes in separate steps: two threads may both win a conditional write.
On AWS a write to one item, and a transaction, is atomic. Here every call of DynamoDB takes one lock, so it is too.
A stronger order than AWS's, never a weaker one.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, Final

from moto.dynamodb.responses import DynamoHandler

_lock: Final = threading.RLock()  # re-entrant: a call may reach DynamoDB again through CloudFormation or a stream


def install() -> None:
    """Puts the lock round every DynamoDB call. May be called again; it then does nothing."""
    original = DynamoHandler.call_action
    if getattr(original, "one_at_a_time", False):
        return

    @functools.wraps(original)
    def call_action(self: Any) -> Any:
        with _lock:
            return original(self)

    call_action.one_at_a_time = True  # type: ignore[attr-defined]  # marks the wrapper, so that it is put on once
    DynamoHandler.call_action = call_action
