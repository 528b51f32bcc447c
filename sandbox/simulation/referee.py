"""What a failover was: right, late, missed or false. The referee knows the truth, which nobody else does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandbox.simulation.agenda import Agenda
    from sandbox.simulation.world import Region

LATE_SECONDS: Final = 30.0
"""A failover that takes longer from the moment at which it could help is late; a failure that ends by itself without
one, after longer, was missed."""
RIGHT, LATE, MISSED, FALSE, USELESS = "right", "late", "missed", "false", "useless"
"""False: from a cluster that served. Useless: to one that did not serve either."""


class Referee:
    """Of one Region. `found` counts failovers of clusters by what they were, `seconds` how long the right ones took."""

    def __init__(self, region: Region, agenda: Agenda) -> None:
        self.found: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._region, self._agenda = region, agenda
        self.dead_since: float | None = None
        """Since when the cluster with the traffic is dead."""
        self._helped = 0.0
        self._since = agenda.now
        self._could_help = False

    def changed(self, _cluster: str) -> None:
        """Look at the Region as it is now."""
        now, region = self._agenda.now, self._region
        serving = region.serving
        if self._could_help:
            self._helped += now - self._since
        self._since = now
        dead = serving is not None and serving.is_dead and not region.lost
        if dead and self.dead_since is None:
            self.dead_since, self._helped = now, 0.0
        elif not dead and self.dead_since is not None:
            if self._helped > LATE_SECONDS and not region.lost:
                self.found[MISSED] += 1
            self.dead_since, self._helped = None, 0.0
        self._could_help = dead and any(region.candidates())

    def moved(self, *, was_dead: bool) -> None:
        """The traffic is about to move. `was_dead`: whether its cluster was when that was decided."""
        self.changed("")
        if not was_dead:
            self.found[FALSE] += 1
        elif self.dead_since is None or self._helped > LATE_SECONDS:
            self.found[LATE] += 1
        elif not self._could_help:
            self.found[USELESS] += 1
        else:
            self.found[RIGHT] += 1
            self.seconds.append(self._agenda.now - self.dead_since)
        self.dead_since, self._helped, self._could_help = None, 0.0, False
