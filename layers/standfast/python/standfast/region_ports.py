"""Regions: what is kept of all of them together, and the ports to keep it and to move traffic between them.

All that is decided of Regions is one item of RegionTable, so that one conditional write covers the lease and every
condemnation: two Regions can never be condemned by two hands at once. Every call may raise the TransientErrors
(ThrottledError, UnavailableError) and AccessDeniedError; a docstring names what else it raises, what is atomic and what
may be repeated. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VALID_SECONDS = 120.0
"""How long a condemnation holds that nobody keeps fresh: a Region that is cut off then stops repeating what it knew."""
REFRESH_SECONDS = 30.0
"""How often it is kept fresh at the least: three times may fail."""
FULL_WEIGHT = 255
"""The most that a weighted record of Route 53 may have."""

RegionWeights: TypeAlias = "Mapping[str, int]"
"""Where the users of one Region are sent: serving Region -> weight from 0 to FULL_WEIGHT."""


class RegionPurpose(StrEnum):
    """What the Region lease is held for. An evacuation takes it from a planned move, never the other way round."""

    RETURN = "return"
    SWITCHOVER = "switchover"
    EVACUATE = "evacuate"


@dataclass(frozen=True, slots=True)
class RegionLease:
    """The right to change where Regions' traffic goes, in one hand for the whole fleet.

    `token` grows by one with every grant and is never reset. `holder` is an execution ARN. Its Region may be gone, and
    then nobody can say whether it runs: so this lease, other than a cluster's, ends by itself at `expires_at`, and each
    step of its holder renews it. The expiry is compared in the condition of the write that takes it.
    """

    token: int = 0
    holder: str | None = None
    purpose: RegionPurpose | None = None
    acquired_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Condemnation:
    """A Region must not serve: by whom, why, since when, and until when if nobody keeps it fresh.

    `condemned_by` are the vantage points whose views spoke for it, or `person/<name>`. `token` is the fencing token of
    the lease under which it was written.
    """

    region: str
    condemned_by: tuple[str, ...]
    reason: str
    incident_id: str
    condemned_at: float
    valid_until: float
    token: int

    def holds(self, now: float) -> bool:
        """Whether it is in force at this moment: one that nobody kept fresh has lapsed."""
        return now < self.valid_until


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """All that is fenced of the Regions, in one item.

    `version` grows by one with every change of what is desired; `written_by` is the token that made it. `weights` is
    Region -> where its users are sent by a planned move; a Region that is not named serves its own. `before` are the
    weights that an abort of the move under way restores, None where none is. `attempts` counts evacuations that failed
    since the last good one; none starts before `not_before`. `returned` is Region -> when it last came back.
    """

    lease: RegionLease = field(default_factory=RegionLease)
    version: int = 0
    written_by: int = 0
    condemned: Mapping[str, Condemnation] = field(default_factory=dict)
    weights: Mapping[str, RegionWeights] = field(default_factory=dict)
    before: Mapping[str, RegionWeights] | None = None
    reason: str = ""
    updated_at: float = 0.0
    attempts: int = 0
    not_before: float = 0.0
    returned: Mapping[str, float] = field(default_factory=dict)

    def condemned_now(self, now: float) -> frozenset[str]:
        """The Regions that are condemned at this moment."""
        return frozenset(name for name, each in self.condemned.items() if each.holds(now))


class RegionStore(Protocol):
    """The one record. Each write is one conditional write of one item; a strongly consistent table has no others.

    Two Regions that write at the same moment (ReplicatedWriteConflictException) are tried again inside: it is no
    refusal. A Region that reaches neither of the other two cannot write, and reads by `glance_at_regions` only.
    """

    def read_regions(self) -> RegionRecord:
        """The record, strongly consistent; an empty one where nothing was ever written. Raises CorruptStateError.

        Raises UnavailableError in a Region that is cut off.
        """
        ...

    def glance_at_regions(self) -> RegionRecord:
        """The record as this Region knows it, perhaps a moment old, in a Region cut off as it was last known there.

        What the condemnation endpoint answers from: with `Condemnation.holds`, for an old view lapses.
        """
        ...

    def grant(self, *, seen: RegionLease, lease: RegionLease, now: float) -> None:
        """Replace the lease that was seen.

        Condition: token and holder are still those, and where somebody else holds it for a purpose that this one does
        not outrank, its expiry is past. Raises ConflictError otherwise. Repeating it raises ConflictError.
        """
        ...

    def renew(self, *, token: int, expires_at: float) -> None:
        """Hold the lease for longer. May be repeated. Raises FencedError when somebody else was granted it."""
        ...

    def release(self, *, token: int, attempts: int, not_before: float) -> None:
        """Free the lease; the token stays. May be repeated. Raises FencedError when somebody else was granted it."""
        ...

    def write_regions(self, record: RegionRecord, *, token: int, seen_version: int) -> None:
        """Write what is desired: condemnations, weights, what is returned, reason. The lease is not touched.

        Raises FencedError when the token is not that of a held lease; ConflictError when the version moved on.
        Repeating a write whose answer was lost raises ConflictError: read again and see that it is there.
        """
        ...

    def confirm(self, region: str, *, incident_id: str, valid_until: float, now: float) -> bool:
        """Keep a condemnation fresh. Needs no lease: it changes nothing but how long it holds.

        Atomic. False when the Region is not condemned for this incident any more, or the condemnation has lapsed: one
        that lapsed is never revived, for another Region may have been condemned since. Then nothing is written. May be
        repeated.
        """
        ...


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a Region says of itself, every few seconds. One that has expired says nothing.

    `serving`: its own watch holds that its entry serves; `says` is that in a sentence. `mending` says what is under way
    there that may end an outage by itself (a cluster failover that runs, or is about to), empty where nothing is.
    `requests` are at work in it, `room` more it could carry at once; None where that is not measured. `verdict_url` is
    where its condemnation endpoint answers, empty where it has none. `saturated` says that what has traffic works
    without a pause and answers too late, empty where it does not. A Region that only watches serves nothing.
    """

    region: str
    beat_at: float
    serving: bool = False
    says: str = ""
    mending: str = ""
    requests: int | None = None
    room: int | None = None
    verdict_url: str = ""
    saturated: str = ""


class HeartbeatStore(Protocol):
    """The last heartbeat of each Region. Unfenced: a Region writes its own only."""

    def write_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Replace this Region's last heartbeat. It takes another Region to write it. May be repeated."""
        ...

    def heartbeats(self) -> Sequence[Heartbeat]:
        """The last of every Region, as this Region knows them. Raises CorruptStateError."""
        ...


class Voice(StrEnum):
    """What a Region's condemnation endpoint says of another Region."""

    CONDEMNS = "condemns"
    ABSTAINS = "abstains"
    SILENT = "silent"


class RegionSwitch(Protocol):
    """What sends users to Regions. Route 53 is its adapter; Global Accelerator or ARC could be.

    An evacuation is state alone: the condemnation that RegionStore holds and that each Region's endpoint repeats. No
    method that it uses may call a control plane, which may be in the very Region that is lost. A planned move may: it
    changes the weights of records that are nested in each Region's latency or geolocation record.
    """

    def voices(self, region: str) -> Mapping[str, Voice]:
        """Vantage Region -> what its endpoint says of this Region now, as a health checker asks it: a data plane.

        Never raises: an endpoint that does not answer in time is SILENT, and so is one that nobody has named.
        """
        ...

    def evacuate(self, condemnation: Condemnation) -> None:
        """Bring a condemnation that is written to the edge, where it is not read from the state itself. Repeatable.

        Route 53 asks the endpoints by itself: its adapter has nothing to bring.
        """
        ...

    def restore(self, region: str) -> None:
        """The condemnation is lifted: as `evacuate`, the other way round. May be repeated."""
        ...

    def read_weights(self) -> Mapping[str, RegionWeights]:
        """Region -> the weights of its nested records as the edge has them. A control plane."""
        ...

    def write_weights(self, region: str, weights: RegionWeights) -> str:
        """Replace the weights of one Region's nested records, all in one change. A control plane. May be repeated.

        The answer names the change, for `is_settled`; it is empty where the edge has these weights already.

        Unconditional: callers write what RegionStore holds as desired, read it again and read the edge again, until
        they agree (docs/protocol.md). Raises InvalidInputError for a Region or a weight that the records do not have.
        """
        ...

    def is_settled(self, change: str) -> bool:
        """Whether a change of weights has reached every name server. A control plane."""
        ...


class Controls(Protocol):
    """A vantage point's own control probes: whether it sees anything at all (law 4)."""

    async def answers(self, url: str) -> bool:
        """Whether somebody answers at a URL, whatever it says. Never raises."""
        ...


class RegionMoves(Protocol):
    """`region_failover` in this Region, to start it."""

    def start_region_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        """False when an execution of that name exists already, running or ended."""
        ...
