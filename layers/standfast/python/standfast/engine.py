"""What an inference server says of itself: its state, its model, and how much it has to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EngineState(StrEnum):
    """Whether an engine would take a request. Unknown: it does not say, or says what nobody understands."""

    READY = "ready"
    STARTING = "starting"
    ASLEEP = "asleep"
    DRAINING = "draining"
    UNKNOWN = "unknown"


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


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What one engine says of itself. `models` are the names that it answers to, empty when it does not say.

    `version` is what it says of the weights that it loaded (see probes.states), None when it does not say. `detail` is
    why the state is not ready, in words.
    """

    state: EngineState
    models: tuple[str, ...] = ()
    version: str | None = None
    metrics: EngineMetrics = UNREAD
    detail: str = ""
