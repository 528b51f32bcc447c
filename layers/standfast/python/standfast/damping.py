"""Flap damping: who comes and goes is believed later each time (law 6: seconds to fail, minutes to return).

And what is late is believed when two assessments running found it: one heavy second is not a fault.

The penalty of RFC 2439 (BGP route flap damping) in its simplest form: the wait doubles with each relapse within an hour
and is over in a quarter of an hour at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED_SECONDS: Final = 3600.0
FIRST_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class History:
    """What the assessments before this one saw of a cluster; times in seconds since the epoch.

    `relapses`: when it became unhealthy, in the last hour, oldest first. `well_since`: None while it is not well.
    `late_since`: since when each assessment found its tokens late, None when the last one did not.
    """

    relapses: tuple[float, ...] = ()
    well_since: float | None = None
    late_since: float | None = None


def wait_seconds(relapses: Sequence[float]) -> float:
    """How long a cluster must be well to be believed: no time after one relapse, a minute after two, doubling."""
    return 0.0 if len(relapses) < 2 else min(FIRST_SECONDS * 2 ** (len(relapses) - 2), LONGEST_SECONDS)


def confirmed(before: History, latency: Verdict, now: float) -> tuple[Verdict, float | None]:
    """The verdict on latency to believe, and `late_since` to remember. An unknown one says nothing of either."""
    if latency is Verdict.UNKNOWN:
        return latency, before.late_since
    if latency is Verdict.HEALTHY:
        return latency, None
    return (Verdict.HEALTHY, now) if before.late_since is None else (latency, before.late_since)


def damped(before: History, verdict: Verdict, now: float) -> tuple[Verdict, str, History]:
    """The verdict to believe, why it is not the given one (or nothing), and the history to remember.

    Only a return is damped: unhealthy is believed at once. Unknown neither ends being well nor begins it.
    """
    relapses = tuple(at for at in before.relapses if now - at <= REMEMBERED_SECONDS)
    if verdict is Verdict.UNKNOWN:
        return verdict, "", replace(before, relapses=relapses)
    if verdict is Verdict.UNHEALTHY:
        is_new = before.well_since is not None or not before.relapses
        return verdict, "", replace(before, relapses=(*relapses, now) if is_new else relapses, well_since=None)
    well_since = now if before.well_since is None else before.well_since
    wait, well = wait_seconds(relapses), now - well_since
    history = replace(before, relapses=relapses, well_since=well_since)
    if well >= wait:
        return verdict, "", history
    said = f"well for {well:.0f} s, but it fell {len(relapses)} times in the last hour: believed after {wait:.0f} s"
    return Verdict.DEGRADED, said, history
