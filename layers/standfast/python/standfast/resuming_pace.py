"""How many requests are answered again at once: as many as leave the standby room for its users. Pure.

As TCP does: a little more with each answer that began in time, half as much when one began late or was turned away.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds: so many begun a second, so many at once at first and at most, and when a first token is late.

    A piece is written every `piece_seconds`, and holds the claim too. What is turned away waits `again_seconds`.
    """

    per_second: float = 20.0
    at_first: int = 4
    at_once: int = 64
    late_seconds: float = 1.0
    piece_seconds: float = 1.0
    look_seconds: float = 2.0
    again_seconds: float = 2.0
    room_seconds: float = 0.1


@dataclass(slots=True)
class Headroom:
    """What the standby was found to carry. `at_work` is kept by whoever begins and ends answers."""

    pace: Pace
    limit: float = 0.0
    at_work: int = 0

    def __post_init__(self) -> None:
        self.limit = float(min(self.pace.at_first, self.pace.at_once))

    @property
    def has_room(self) -> bool:
        """Whether one more may be begun."""
        return self.at_work < int(self.limit)

    def began(self, first_token_seconds: float) -> None:
        """An answer's first token came after so long."""
        if first_token_seconds > self.pace.late_seconds:
            self.refused()
        else:
            self.limit = min(float(self.pace.at_once), self.limit + 1 / self.limit)

    def refused(self) -> None:
        """The service is too busy."""
        self.limit = max(1.0, self.limit / 2)
