"""State: what is kept of a scope and of the fleet, and the ports to the tables that keep it.

Every call may raise the TransientErrors (ThrottledError, UnavailableError) and AccessDeniedError; a docstring names
what else it raises, what is atomic and what may be repeated. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from standfast.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.brake import Brake, Switch
    from standfast.capacity import Load
    from standfast.checks import Checked, NodeHealth
    from standfast.fault_memory import FaultMemory, NodeMemory, Occurrence
    from standfast.fleet import FleetConfig, ReplicaAddress
    from standfast.health import Assessment, Verdict
    from standfast.incidents import Incident
    from standfast.traffic import Desired


@dataclass(frozen=True, slots=True)
class ScopeRecord:
    """All that is fenced of one scope, in one item, so that one conditional write covers lease and desired state.

    `attempts` counts failed failovers since the last good one; none starts before `not_before`.
    """

    scope_id: str
    desired: Desired
    lease: Lease = field(default_factory=Lease)
    attempts: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """A FleetConfig with this Region's number of it. `as_written`: without deployments.in_force, if that differs."""

    version: int
    config: FleetConfig
    as_written: FleetConfig | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that is known of a scope, read at once.

    `replicas` is cluster id -> addresses, `assessments` cluster id -> the watch's last judgement; `relay` is the
    generation of the run that has the watch. `nodes`, `checks` and `loads` are cluster id -> what the last assessment
    found.
    """

    scope: ScopeRecord
    applied: AppliedConfig
    replicas: Mapping[str, Sequence[ReplicaAddress]]
    assessments: Mapping[str, Assessment]
    relay: int
    nodes: Mapping[str, NodeHealth] = field(default_factory=dict)
    checks: Mapping[str, Checked] = field(default_factory=dict)
    loads: Mapping[str, Load] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of an incident. `outcome` says it in a word that can be compared."""

    incident_id: str
    scope_id: str
    failed_cluster_id: str
    reason: str
    outcome: str
    told_at: float


class ScopeStore(Protocol):
    """Lease and desired state of a scope. Reads are strongly consistent; every write is one atomic item write."""

    def read(self, scope_id: str) -> ScopeRecord:
        """The record. Raises UnknownScopeError, CorruptStateError."""
        ...

    def create(self, record: ScopeRecord) -> bool:
        """Write the first record of a scope. False when there is one already, which is left as it is."""
        ...

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        """Replace the lease that was seen. Raises ConflictError when it has another token or holder by now."""
        ...

    def release(self, scope_id: str, *, token: int, attempts: int, not_before: float) -> None:
        """Free the lease; the token stays. May be repeated. Raises FencedError when somebody else was granted it."""
        ...

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        """Write desired state under the lease.

        Raises FencedError when the token is not that of a held lease; ConflictError when the version moved on.
        Repeating a write whose answer was lost raises ConflictError: read again and see that it is there.
        """
        ...


class ConfigStore(Protocol):
    """FleetConfig as this Region knows it."""

    def read_config(self) -> AppliedConfig:
        """The configuration. Raises UnknownScopeError when none was applied, CorruptStateError."""
        ...


class SwitchStore(Protocol):
    """The automation switches of fleet, Regions and clusters: the same for all Regions."""

    def read_brake(self) -> Brake:
        """All switches as they are now; the fleet's says *observe* when nobody has set it.

        In a Region that is cut off: as they were last known there, because an isolated Region can still save itself.
        """
        ...

    def glance_at_brake(self) -> Brake:
        """All switches as this Region knows them, perhaps a moment old: cheap, for those who ask every second."""
        ...

    def write_switch(self, switch: Switch) -> None:
        """Set the switch of its scope, in all Regions at once. May be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """How one Region's entry looks from a Region, `vantage`, at `seen_at`. Unknown where the vantage point is blind.

    `since`: when the first of the failed probes began.
    """

    vantage: str
    region: str
    verdict: Verdict
    reason: str
    seen_at: float
    since: float | None = None


class SightStore(Protocol):
    """What each vantage point sees of each Region. Unfenced: a vantage point writes its own sights only."""

    def write_sight(self, sight: Sight) -> None:
        """Replace this vantage point's last sight of that Region. May be repeated."""
        ...

    def sights(self) -> Sequence[Sight]:
        """The last sights of all vantage points, as this Region knows them. Raises CorruptStateError."""
        ...


class EvidenceStore(Protocol):
    """What the watch knows. Unfenced: the newest observation wins."""

    def write_assessments(self, assessments: Sequence[Assessment]) -> None:
        """Replace the last assessments. An older one never replaces a newer one. May be repeated."""
        ...

    def write_replicas(self, replicas: Mapping[str, Sequence[ReplicaAddress]], *, now: float) -> None:
        """Replace the addresses of all replicas. May be repeated."""
        ...


class CheckStore(Protocol):
    """What assessments found. Unfenced: the newest wins."""

    def write_checks(self, checked: Checked, nodes: NodeHealth | None) -> None:
        """Replace the last five checks and, where any were taken, the node reports' findings. May be repeated.

        Older ones never replace newer ones.
        """
        ...

    def write_load(self, load: Load) -> None:
        """Replace what is known of a cluster's load. An older one never replaces a newer one. May be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A cluster's verdict changed. `before` is empty for its first one; `at` in seconds since the epoch."""

    cluster_id: str
    at: float
    before: str
    verdict: str
    reason: str


class HistoryStore(Protocol):
    """How a cluster's verdict changed, kept for thirty days."""

    def write_change(self, change: HealthChange) -> None:
        """Keep a change. May be repeated."""
        ...

    def changes(self, cluster_id: str, most: int) -> Sequence[HealthChange]:
        """A cluster's last changes, the newest first. Raises CorruptStateError."""
        ...


class FaultStore(Protocol):
    """What is remembered of nodes and GPUs from report to report. Unfenced: the newest report wins."""

    def read_faults(self) -> FaultMemory:
        """All of the Region's, perhaps a moment old. Raises CorruptStateError."""
        ...

    def write_faults(
        self, nodes: Sequence[NodeMemory], gpus: Mapping[str, tuple[Occurrence, ...]], *, now: float
    ) -> None:
        """Replace these nodes' memory, unless a newer report's is there, and these GPUs'. May be repeated."""
        ...


class ViewStore(Protocol):
    """Everything at once."""

    def view(self) -> View:
        """All of it in one strongly consistent query. Raises UnknownScopeError, CorruptStateError."""
        ...


class RelayStore(Protocol):
    """The relay: which run of a watch has it. One run hands it to the next."""

    def relay(self) -> int:
        """The generation that has the watch; 0 when none ever had it."""
        ...

    def enter(self) -> int:
        """A new generation, one above all others. Atomic; repeating it only skips a number."""
        ...

    def take_over(self, generation: int) -> None:
        """Have the watch from now on, unless a later generation has it. May be repeated."""
        ...


class WatchStore(ViewStore, RelayStore, Protocol):
    """What the watch over a Region's clusters reads, with its relay."""


class IncidentStore(Protocol):
    """What was told of incidents, so that a person is told once of each outcome."""

    def outcome(self, incident_id: str, *, since: float) -> str | None:
        """What was last told of an incident, if it was told at or after `since` or is acknowledged, else None."""
        ...

    def record(self, told: Told) -> None:
        """Record what was told; an acknowledgement of what was told before is over. May be repeated."""
        ...

    def acknowledge(self, incident_id: str, *, by: str, now: float) -> bool:
        """Somebody has it in hand: it is not told again until there is something new. False when nothing was told."""
        ...


class IncidentLog(Protocol):
    """Incidents as durable intervals, open and closed."""

    def open_incidents(self) -> Sequence[Incident]:
        """Those that are open. Raises CorruptStateError."""
        ...

    def closed_incidents(self, most: int) -> Sequence[Incident]:
        """The newest that are closed, newest first. Raises CorruptStateError."""
        ...

    def closed_since(self, moment: float) -> Sequence[Incident]:
        """Those that were closed at or after a moment, oldest first. Raises CorruptStateError."""
        ...

    def write_incident(self, incident: Incident) -> None:
        """Write it with a version one higher than it was read with; a closed one moves to the closed ones.

        Compare-and-set: raises ConflictError when somebody wrote between. Repeating the write that closed it raises it
        as well, and leaves one closed incident.
        """
        ...

    def amend_incident(self, incident: Incident) -> None:
        """Write one that is there already, open or closed, with a version one higher than it was read with.

        Compare-and-set: raises ConflictError when somebody wrote, or closed it, between; so does a repeated write.
        """
        ...
