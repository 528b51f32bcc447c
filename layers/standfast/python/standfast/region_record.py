"""The record of the Regions, from one state to the next: the lease, condemnations, weights. Pure.

Two rules hold in each state that comes out of here: the Region lease is in one hand, and some Region that has clusters
is not condemned. Since the record is one item and its writes are conditional, no two hands can break them together.
Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from standfast.errors import InvalidInputError, LeaseHeldError, NoPeerProvenError
from standfast.region_ports import FULL_WEIGHT, VALID_SECONDS, Condemnation, RegionLease, RegionPurpose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from standfast.region_ports import RegionRecord, RegionWeights

LEASE_SECONDS = 60.0
"""How long the lease holds that no step renews: a step takes 10 s at most, with its retries 40 s."""
SKEW_SECONDS = 5.0
"""A condemnation that lapsed so recently may still be told by a Region whose clock is late: it counts as one."""

_RANK = {RegionPurpose.RETURN: 0, RegionPurpose.SWITCHOVER: 0, RegionPurpose.EVACUATE: 1}


def rank(purpose: RegionPurpose | None) -> int:
    """Which purpose takes the lease from which: an evacuation from planned moves. -1 for a free lease."""
    return -1 if purpose is None else _RANK[purpose]


def claim(lease: RegionLease, holder: str, purpose: RegionPurpose, now: float) -> RegionLease:
    """The lease as it is once it is taken; as it was where it is the claimant's already. Raises LeaseHeldError."""
    if lease.holder == holder:
        return lease
    holds = lease.holder is not None and now < lease.expires_at
    if holds and rank(purpose) <= rank(lease.purpose):
        raise LeaseHeldError(
            f"the Region lease is held by {lease.holder} for {lease.purpose}, for {lease.expires_at - now:.0f} s more"
        )
    return RegionLease(lease.token + 1, holder, purpose, now, now + LEASE_SECONDS)


def condemn(
    record: RegionRecord,
    region: str,
    *,
    serving: Collection[str],
    by: Iterable[str],
    reason: str,
    incident_id: str,
    now: float,
) -> RegionRecord:
    """The record with this Region condemned. `serving` are the Regions that have clusters.

    What lapsed is forgotten, so that keeping fresh cannot revive it beside this one. One that is condemned already
    keeps who condemned it and when. Raises NoPeerProvenError where no other Region would be left.
    """
    standing = {name: each for name, each in record.condemned.items() if each.holds(now - SKEW_SECONDS)}
    left = sorted(set(serving) - set(standing) - {region})
    if not left:
        others = ", ".join(sorted(set(standing) - {region})) or "there is no other"
        raise NoPeerProvenError(f"{region} is not condemned, for no Region would be left to serve: {others}")
    known = standing.get(region)
    token = record.lease.token
    if known is not None and known.holds(now):
        written = replace(known, valid_until=now + VALID_SECONDS, token=token)
    else:
        written = Condemnation(region, tuple(sorted(by)), reason, incident_id, now, now + VALID_SECONDS, token)
    return _next(record, reason, now, condemned={**standing, region: written})


def lift(record: RegionRecord, region: str, *, reason: str, now: float) -> RegionRecord:
    """The record with this Region not condemned any more."""
    condemned = {name: each for name, each in record.condemned.items() if name != region}
    return _next(record, reason, now, condemned=condemned, returned={**record.returned, region: now})


def send(
    record: RegionRecord, region: str, weights: RegionWeights, *, serving: Collection[str], reason: str, now: float
) -> RegionRecord:
    """The record with the users of a Region sent elsewhere, or home. Its first stage remembers what was before.

    Raises InvalidInputError for weights that serve nobody, or that go to a Region that is condemned.
    """
    check_weights(region, weights, serving, record.condemned_now(now))
    before = dict(record.weights) if record.before is None else record.before
    return _next(record, reason, now, weights={**record.weights, region: dict(weights)}, before=before)


def settle(record: RegionRecord, *, reason: str, now: float) -> RegionRecord:
    """The record once a planned move is over: there is nothing of before to restore."""
    return replace(_next(record, reason, now), before=None)


def restored(record: RegionRecord, *, reason: str, now: float) -> RegionRecord:
    """The record with the weights from before the move; what is condemned stays so."""
    weights = record.weights if record.before is None else record.before
    return replace(_next(record, reason, now, weights=weights), before=None)


def staged(region: str, peers: Collection[str], stage: int, *, home: bool) -> RegionWeights:
    """The weights of a Region's users at a stage: so many per cent at its peers, alike; or at home again."""
    away = (100 - stage) if home else stage
    each = round(FULL_WEIGHT * away / 100 / len(peers)) if away else 0
    if away and not each:
        each = 1
    at_home = 0 if away == 100 else FULL_WEIGHT - each * len(peers)
    return {region: at_home, **dict.fromkeys(sorted(peers), each)}


def home(region: str, records: Collection[str]) -> RegionWeights:
    """The weights by which a Region serves its own users."""
    return {**dict.fromkeys(sorted(records), 0), region: FULL_WEIGHT}


def check_weights(region: str, weights: RegionWeights, serving: Collection[str], condemned: Collection[str]) -> None:
    """Raises InvalidInputError when these weights must not be written for a Region's users."""
    unknown = sorted(set(weights) - set(serving))
    if unknown:
        raise InvalidInputError(f"weights of {region}: {', '.join(unknown)} is no Region with clusters")
    for name, weight in weights.items():
        if not 0 <= weight <= FULL_WEIGHT:
            raise InvalidInputError(f"weights of {region}: {name} has {weight}; a record takes 0 to {FULL_WEIGHT}")
    if not any(weights.values()):
        raise InvalidInputError(f"weights of {region}: all are zero, which Route 53 reads as all alike; keep one above")
    bad = sorted(name for name, weight in weights.items() if weight and name in condemned and name != region)
    if bad:
        raise InvalidInputError(f"weights of {region}: {', '.join(bad)} is condemned and gets no users")


def why_frozen(record: RegionRecord, now: float) -> str:
    """Why no rollout may go on: a Region is out, or on its way. Empty where none is."""
    for name, each in sorted(record.condemned.items()):
        if each.holds(now):
            return f"{name} is condemned ({each.reason}), and the others carry its users"
    lease = record.lease
    if lease.holder is not None and now < lease.expires_at:
        return f"{lease.holder} moves users between Regions ({lease.purpose})"
    return ""


def _next(
    record: RegionRecord,
    reason: str,
    now: float,
    *,
    condemned: Mapping[str, Condemnation] | None = None,
    weights: Mapping[str, RegionWeights] | None = None,
    returned: Mapping[str, float] | None = None,
    before: Mapping[str, RegionWeights] | None = None,
) -> RegionRecord:
    return replace(
        record,
        version=record.version + 1,
        written_by=record.lease.token,
        condemned=record.condemned if condemned is None else condemned,
        weights=record.weights if weights is None else weights,
        before=record.before if before is None else before,
        returned=record.returned if returned is None else returned,
        reason=reason,
        updated_at=now,
    )
