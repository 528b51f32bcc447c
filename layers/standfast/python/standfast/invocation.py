"""What a function that works as long as it may asks of Lambda's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from standfast.ports import Clock

RESERVE_SECONDS = 8
"""Kept back from the function's time-out, so that what is under way ends in order."""


class Context(Protocol):
    """What is used of Lambda's context."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's time-out."""
        ...


def end_of_work(context: Context, clock: Clock) -> float:
    """When to stop beginning anything, in seconds since the epoch."""
    return clock.now() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
