"""Discrete events: what is to happen when. Time jumps from one to the next."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Event:
    """Something that is to happen. `cancel` it and it will not."""

    __slots__ = ("_act", "at")

    def __init__(self, at: float, act: Callable[[], None]) -> None:
        self.at = at
        self._act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """May be called again, and after it has happened."""
        self._act = None

    @property
    def is_pending(self) -> bool:
        """Whether it is still to happen."""
        return self._act is not None

    def happen(self) -> None:
        """Once, unless it was cancelled."""
        act, self._act = self._act, None
        if act is not None:
            act()


class Agenda:
    """Events in the order of their times; of the same time, in the order in which they were entered. Seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.happened = 0
        self._events: list[tuple[float, int, Event]] = []
        self._entered = 0

    def at(self, moment: float, act: Callable[[], None]) -> Event:
        """Enter an event; one that is past already happens now."""
        event = Event(max(moment, self.now), act)
        self._entered += 1
        heappush(self._events, (event.at, self._entered, event))
        return event

    def after(self, seconds: float, act: Callable[[], None]) -> Event:
        """Enter an event so many seconds from now."""
        return self.at(self.now + seconds, act)

    def run(self, until: float) -> None:
        """Let everything happen that is due before `until`, and stand there."""
        while self._events and self._events[0][0] < until:
            moment, _, event = heappop(self._events)
            if event.is_pending:
                self.now = moment
                self.happened += 1
                event.happen()
        self.now = until
