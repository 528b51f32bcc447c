"""Whether somebody who stands elsewhere denies that a Region's active cluster is dead.

The watch's paths to its clusters begin at one place: what cuts that place off, and not the state table, looks like a
dead cluster. The watch of another Region asks through the same entry as users do, each second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from standfast.stores import Sight

FRESH_SECONDS = 12.0
"""A sight that does not change is written each 10 s (region_watch.WRITE_SECONDS); one that is older is nobody's."""


def denial(scope_id: str, sights: Iterable[Sight], now: float) -> str:
    """Who sees the Region's entry answer just now, in words; empty where nobody does or nobody looks.

    Only a healthy sight denies: a single canary that failed out there makes it degraded. Silence denies nothing: a
    Region alone, or cut off from the others, decides by what it sees itself.
    """
    for sight in sights:
        fresh = now - sight.seen_at <= FRESH_SECONDS
        if sight.region == scope_id and sight.vantage != scope_id and fresh and sight.verdict is Verdict.HEALTHY:
            return f"{sight.vantage} sees {sight.region} serve: {sight.reason}"
    return ""
