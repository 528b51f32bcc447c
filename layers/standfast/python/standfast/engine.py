"""What an inference server says of itself: its state, its model, and how much it has to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """The metrics page, as far as it is understood. Every figure is None when the engine does not say it.

    `progress` is a counter of work done since the engine's start: only its growth means something. `running` and
    `waiting` are requests. `kv_usage` is the share of the KV cache that is taken, 0 to 1, of the fullest part.
    `awake` is False when the engine says that its weights are put away.
    """

    progress: float | None = None
    running: int | None = None
    waiting: int | None = None
    kv_usage: float | None = None
    awake: bool | None = None

    @property
    def in_flight(self) -> int | None:
        """Requests at work or queued; None when one of the two is not said."""
        return None if self.running is None or self.waiting is None else self.running + self.waiting


UNREAD = EngineMetrics()
"""Nothing is said."""
