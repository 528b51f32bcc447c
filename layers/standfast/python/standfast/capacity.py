"""Headroom, measured from the engines: how much of a Region's traffic a cluster could carry. Pure.

Of a cluster three things can run out: requests at once, work a second (the engine's own counter, see probes.engines)
and the KV cache. What a replica can do of the first two is declared in FleetConfig (`capacity`), or learned: what it
did while requests waited, which is its limit. Work is learned between two readings that both found requests waiting:
of a crowd that came or went between them the mean says less than a replica can do, and would refuse a move that fits.
Until it was seen at its limit nothing is learned, and nothing is refused for it: a replica that was never full may do
more. A reading counts the canary of that moment as a request.
Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from standfast.move_rules import Capacity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from standfast.engine import EngineMetrics
    from standfast.failover import Selection
    from standfast.fleet import Cluster
    from standfast.shedding_rules import LowPriority

FRESH_SECONDS = 90.0
"""An assessment measures twice a minute; an older load says nothing of the traffic of now."""
LAST_KNOWN_SECONDS = 600.0
"""Of a cluster that died: its traffic comes back to another, so what it last had is what comes."""
REMEMBERED = 4
"""Readings of which the busiest counts: requests at one moment swing, two minutes of them do not hide a peak."""
KV_LIMIT = 0.9
"""Share of the KV cache above which engines begin to preempt requests that run."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the engines of a cluster. `replicas` of them said something; what none said is None.

    `running`, `waiting` and `progress` are of all together, `kv_usage` is their mean, 0 to 1. `full` is the most that
    one ran while others waited there: it was at its limit.
    """

    replicas: int
    running: int | None = None
    waiting: int | None = None
    kv_usage: float | None = None
    progress: float | None = None
    full: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What is known of a cluster's load: the last reading, and what was learned from all.

    `running` are the requests at work in the last readings, newest last. What waits is no measure of traffic: of a
    cluster at its limit it grows for as long as that lasts. `work_per_second` is None until two
    readings of the same replicas are there. `most_requests` and `most_work_per_second` are a replica's limits as they
    were seen, None while it was never seen at them.
    """

    cluster_id: str
    measured_at: float
    reading: Reading
    running: tuple[int, ...] = ()
    work_per_second: float | None = None
    most_requests: float | None = None
    most_work_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How much of the traffic a cluster can carry: 1 and more is all of it, None when that is not known."""

    share: float | None
    reason: str

    @property
    def is_enough(self) -> bool:
        """Whether nothing measured speaks against all of it."""
        return self.share is None or self.share >= 1


def reading_of(said: Sequence[EngineMetrics]) -> Reading:
    """Sum up what the engines of a cluster said of their load."""
    heard = [each for each in said if each.running is not None and each.waiting is not None]
    kv = [each.kv_usage for each in said if each.kv_usage is not None]
    progress = [each.progress for each in said if each.progress is not None]
    return Reading(
        replicas=len(heard),
        running=sum(each.running or 0 for each in heard) if heard else None,
        waiting=sum(each.waiting or 0 for each in heard) if heard else None,
        kv_usage=sum(kv) / len(kv) if kv else None,
        progress=sum(progress) if progress and len(progress) == len(heard) else None,
        full=max((each.running or 0 for each in heard if each.waiting), default=None),
    )


def follow(before: Load | None, cluster_id: str, reading: Reading, now: float) -> Load:
    """What is known after one more reading. A counter that went back belongs to an engine that began anew."""
    seen = () if before is None else before.running
    if reading.running is not None:
        seen = (*seen, reading.running)[-REMEMBERED:]
    rate = _rate(before, reading, now)
    crowded = before is not None and before.reading.full is not None and reading.full is not None
    each = rate / reading.replicas if rate and reading.replicas and crowded else None
    return Load(
        cluster_id=cluster_id,
        measured_at=now,
        reading=reading,
        running=seen,
        work_per_second=rate,
        most_requests=_greater(before.most_requests if before else None, reading.full or None),
        most_work_per_second=_greater(before.most_work_per_second if before else None, each),
    )


def fit(
    source: str,
    target: str,
    clusters: Mapping[str, Cluster],
    loads: Mapping[str, Load],
    now: float,
    *,
    fresh_seconds: float = FRESH_SECONDS,
    readings: int = REMEMBERED,
) -> Fit:
    """How much of the traffic of both the target can carry.

    `fresh_seconds`: how old the source's load may be. `readings`: of how many the busiest counts; 1 while traffic moves
    between the two, for what the source had before the target has now.
    """
    ours, theirs = loads.get(target), loads.get(source)
    if ours is None or now - ours.measured_at > FRESH_SECONDS:
        return Fit(None, f"the headroom of {target} is not measured")
    if theirs is None or now - theirs.measured_at > fresh_seconds:
        return Fit(None, f"the traffic of {source} is not measured")
    found = [(can / comes, said) for can, comes, said in _limits(ours, theirs, clusters[target], readings) if comes > 0]
    if not found:
        return Fit(None, f"no limit of {target} is declared, and it was never seen at one")
    share, said = min(found)
    return Fit(share, f"{target} can carry {min(share, 1) * 100:.0f} % of the traffic: {said}")


def of_rest(cluster_id: str, cluster: Cluster, left: int, loads: Mapping[str, Load], now: float) -> Fit:
    """How much of a cluster's own traffic so many of its replicas could carry, by the busiest of the last readings."""
    load = loads.get(cluster_id)
    if load is None or now - load.measured_at > FRESH_SECONDS:
        return Fit(0.0, f"the traffic of {cluster_id} is not measured")
    kv = None if load.reading.kv_usage is None else 0.0
    rest = replace(load, reading=Reading(left, kv_usage=kv), running=(), work_per_second=None)
    found = [(can / comes, said) for can, comes, said in _limits(rest, load, cluster, REMEMBERED) if comes > 0]
    if not found:
        return Fit(None, f"no limit of {cluster_id} is declared, and it was never seen at one")
    share, said = min(found)
    return Fit(share, f"{left} replicas of {cluster_id} can carry {min(share, 1) * 100:.0f} % of its traffic: {said}")


def told(
    selection: Selection,
    failed: str,
    clusters: Mapping[str, Cluster],
    loads: Mapping[str, Load],
    now: float,
    low_priority: LowPriority | None = None,
) -> Selection:
    """A failover's selection with the overload as it was measured. From a dead cluster everything moves, also so.

    But for what FleetConfig calls of low priority, where an overload is stated and no measure says that all would fit:
    that is shed from the first moment, and let back in as after any overload.
    """
    found = fit(failed, selection.cluster_id, clusters, loads, now, fresh_seconds=LAST_KNOWN_SECONDS)
    overload = [selection.overload] if selection.overload else []
    if not found.is_enough:
        overload.append(found.reason)
    sheds = low_priority is not None and bool(overload) and (found.share is None or found.share < 1)
    if sheds:
        overload.append(f"the requests with {low_priority} are answered 503 with Retry-After from the start")
    return replace(selection, overload="; ".join(overload), sheds_low_priority=sheds)


def _limits(ours: Load, theirs: Load, cluster: Cluster, readings: int) -> Iterator[tuple[float, float, str]]:
    """What the target can do, what would come, and the two in words, of each limit that is known."""
    there, declared = min(ours.reading.replicas, cluster.replicas), cluster.capacity or Capacity()
    can: float
    comes: float
    requests, origin = _limit(declared.requests, _known(ours.most_requests, theirs.most_requests))
    if requests is not None and theirs.running:
        can, comes = there * requests, max(theirs.running[-readings:]) + max(ours.running[-readings:], default=0)
        said = f"{can:g} requests at once ({there} replicas, {requests:g} each, {origin}) against {comes:g}"
        yield can, comes, said + _waits(theirs)
    learned = _known(ours.most_work_per_second, theirs.most_work_per_second)
    work, origin = _limit(declared.work_per_second, learned)
    if work is not None and theirs.work_per_second is not None:
        can, comes = there * work, theirs.work_per_second + (ours.work_per_second or 0.0)
        said = f"{can:.0f} of work a second ({there} replicas, {work:.0f} each, {origin}) against {comes:.0f}"
        yield can, comes, said
    kv, theirs_kv = ours.reading.kv_usage, theirs.reading.kv_usage
    if kv is not None and theirs_kv is not None:
        can, comes = KV_LIMIT * there, theirs_kv * theirs.reading.replicas + kv * there
        yield can, comes, f"the KV caches of {can:.1f} replicas against {comes:.1f}"


def _waits(load: Load) -> str:
    return f" and {load.reading.waiting} that wait" if load.reading.waiting else ""


def _limit(declared: float | None, learned: float | None) -> tuple[float | None, str]:
    return (declared, "declared") if declared is not None else (learned, "learned")


def _known(ours: float | None, theirs: float | None) -> float | None:
    """What the target was seen to do; where it never was at its limit, what its peer's replicas do."""
    return ours if ours is not None else theirs


def _greater(before: float | None, now: float | None) -> float | None:  # of two that may not be there
    return before if now is None else now if before is None else max(before, now)


def _rate(before: Load | None, reading: Reading, now: float) -> float | None:
    if before is None or before.reading.progress is None or reading.progress is None:
        return None
    seconds, done = now - before.measured_at, reading.progress - before.reading.progress
    if seconds <= 0 or done < 0 or before.reading.replicas != reading.replicas:
        return None
    return done / seconds
