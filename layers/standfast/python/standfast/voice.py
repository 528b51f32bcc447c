"""What a Region says of another one to whoever asks: that it must not serve, or nothing.

Route 53's health checkers ask each Region's endpoint, some sixteen of them, every ten seconds and for each Region that
serves. Only an explicit 200 condemns. All else (404, 429 in a flood, 5xx, silence) is an abstention, so that neither a
fault of this endpoint nor an attack on it can condemn anybody.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from standfast.errors import StandfastError

if TYPE_CHECKING:
    from standfast.ports import Clock
    from standfast.region_ports import RegionRecord, RegionStore

READ_SECONDS = 1.0
"""The record is read at most so often in one environment: in between an answer costs no call."""
MOST_SECONDS = 10.0
"""What was read longer ago is not repeated any more. The condemnation's own `valid_until` bounds it beside this."""
PREFIX = "/condemned/"

logger = logging.getLogger("standfast.voice")


class Voice:
    """One environment's answers. `regions` is asked for the record as this Region knows it, also when it is cut off."""

    def __init__(self, regions: RegionStore, clock: Clock) -> None:
        self._regions = regions
        self._clock = clock
        self._record: RegionRecord | None = None
        self._read_at = float("-inf")
        self._tried_at = float("-inf")

    def condemns(self, region: str) -> bool:
        """Whether this Region holds that one condemned at this moment. It abstains while it cannot know."""
        now = self._clock.now()
        if now - self._tried_at >= READ_SECONDS:
            self._read(now)
        if self._record is None or now - self._read_at > MOST_SECONDS:
            return False
        return region in self._record.condemned_now(now)

    def _read(self, now: float) -> None:
        self._tried_at = now
        try:
            self._record = self._regions.glance_at_regions()
        except StandfastError as error:
            logger.warning(
                "the Regions' record cannot be read, what was known is said for %g s: %s", MOST_SECONDS, error
            )
            return
        self._read_at = now


def asked_for(event: dict[str, Any]) -> str:
    """The Region that `GET /condemned/<region>` asks for (payload format 2.0 of a function URL); else empty."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    path = str(event.get("rawPath", ""))
    if method != "GET" or not path.startswith(PREFIX):
        return ""
    return path.removeprefix(PREFIX)
