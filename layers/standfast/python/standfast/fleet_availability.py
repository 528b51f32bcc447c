"""A fleet's availability: replicas, clusters, Regions, and what they share. Pure.

Availability is what a user sees: the share of requests, spread over the Regions alike, that some cluster serves. Four
levels, each made of the one below: a replica (its GPUs, its node, its engine), a cluster (k of n replicas), a Region
(an active cluster and its standbys), the fleet (Regions that take over from each other). A replica's failures are
split by whom else they hit: it alone, its cluster, its Region, the fleet (Multiple Greek Letter model, NUREG/CR-5485;
beta-factor, IEC 61508-6 Annex D).

Not in it: load. A cluster that serves with half of its replicas is up, whatever it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.availability import (
    HOURS_PER_YEAR,
    MINUTES_PER_YEAR,
    PERFECT,
    Part,
    Switchover,
    Takeover,
    grouped,
    parallel,
    repairable,
    series,
    switchover,
    thinned,
)
from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from standfast.fault_rates import FaultRates


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """A cluster: its GPUs, how many make a replica (tensor parallelism) and a node, how many replicas it needs.

    A replica needs all of its GPUs. Without `replicas_needed` it is half of them, rounded up: the rule by which a
    cluster is called dead. Raises InvalidInputError with the field and the mend.
    """

    gpus: int
    gpus_per_replica: int = 1
    gpus_per_node: int = 1
    replicas_needed: int | None = None

    def __post_init__(self) -> None:
        for name in ("gpus", "gpus_per_replica", "gpus_per_node"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}: give 1 or more")
        for name in ("gpus_per_replica", "gpus_per_node"):
            if self.gpus % getattr(self, name):
                raise InvalidInputError(f"{name} is {getattr(self, name)}: give a number that divides {self.gpus} GPUs")
        small, large = sorted((self.gpus_per_replica, self.gpus_per_node))
        if large % small:
            raise InvalidInputError(
                f"gpus_per_replica is {self.gpus_per_replica} on nodes of {self.gpus_per_node} GPUs: "
                "give whole replicas a node, or whole nodes a replica"
            )
        if not 1 <= self.needed <= self.replicas:
            raise InvalidInputError(f"replicas_needed is {self.needed} of {self.replicas}: give 1 to {self.replicas}")

    @property
    def replicas(self) -> int:
        """What serves."""
        return self.gpus // self.gpus_per_replica

    @property
    def needed(self) -> int:
        """How many of them at the least."""
        return (self.replicas + 1) // 2 if self.replicas_needed is None else self.replicas_needed

    @property
    def nodes_per_replica(self) -> int:
        """Nodes without which a replica is down."""
        return max(1, self.gpus_per_replica // self.gpus_per_node)

    @property
    def replicas_per_node(self) -> int:
        """Replicas that go down with a node; 1 where a replica spans several."""
        return max(1, self.gpus_per_node // self.gpus_per_replica)


DEFAULT_CLUSTERS: tuple[ClusterShape, ...] = (ClusterShape(gpus=4), ClusterShape(gpus=2))
"""As the original design draws them: a primary of 4 GPUs, a standby of 2."""


@dataclass(frozen=True, slots=True)
class FleetShape:
    """Regions alike. The first cluster is active, the others stand by.

    Raises InvalidInputError with the field and the mend.
    """

    regions: int = 2
    clusters: tuple[ClusterShape, ...] = DEFAULT_CLUSTERS

    def __post_init__(self) -> None:
        if self.regions < 1:
            raise InvalidInputError(f"regions is {self.regions}: give 1 or more")
        if not self.clusters:
            raise InvalidInputError("clusters is empty: give the active cluster, then its standbys")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why requests are not served: the share of time, or of requests, that it costs."""

    name: str
    unavailability: float

    @property
    def minutes_per_year(self) -> float:
        """Minutes of the whole service in a year of 365 days."""
        return self.unavailability * MINUTES_PER_YEAR


@dataclass(frozen=True, slots=True)
class FleetAvailability:
    """What came out. The causes add up to the unavailability of the fleet.

    `replica` and the clusters are with all that hits them; `clusters_alone` without common causes, `region` after
    failovers and before the other Regions help.
    """

    replica: Part
    clusters_alone: tuple[Part, ...]
    clusters: tuple[Part, ...]
    failover: Switchover
    region: Part
    region_move: Switchover
    causes: tuple[Cause, ...]

    @property
    def unavailability(self) -> float:
        """The share of requests that nothing serves."""
        return sum(cause.unavailability for cause in self.causes)

    @property
    def availability(self) -> float:
        """1 - unavailability."""
        return 1 - self.unavailability

    @property
    def minutes_per_year(self) -> float:
        """Minutes of the whole service in a year of 365 days."""
        return self.unavailability * MINUTES_PER_YEAR


@dataclass(frozen=True, slots=True)
class _Shares:
    """Of a replica's failures: those that hit it alone, its cluster, its Region, the fleet. Together 1."""

    alone: float
    cluster: float
    region: float
    fleet: float


def calculate(shape: FleetShape, rates: FaultRates) -> FleetAvailability:
    """The availability of a fleet under these assumptions."""
    shares = _Shares(
        alone=1 - rates.beta,
        cluster=rates.beta * (1 - rates.beta_clusters),
        region=rates.beta * rates.beta_clusters * (1 - rates.beta_regions),
        fleet=rates.beta * rates.beta_clusters * rates.beta_regions,
    )
    active = shape.clusters[0]
    alone = tuple(_cluster_alone(each, rates, shares.alone) for each in shape.clusters)
    clusters = tuple(
        series(part, _replica(each, rates, shares.cluster)) for part, each in zip(alone, shape.clusters, strict=True)
    )
    person = rates.person_minutes * 60
    by_failover = Takeover(rates.cluster_move_seconds, rates.cluster_coverage, person)
    failover = switchover(clusters[0], parallel(*clusters[1:]), by_failover if clusters[1:] else _NOWHERE)
    of_the_region = series(
        _replica(active, rates, shares.region), repairable(rates.region_mtbf_hours, rates.region_mttr_hours)
    )
    region = series(failover.lasting, of_the_region)
    others = [region] * (shape.regions - 1)
    by_move = Takeover(rates.region_move_seconds, rates.region_coverage, person)
    move = switchover(region, parallel(*others), by_move if others else _NOWHERE)
    return FleetAvailability(
        replica=_replica(active, rates, 1),
        clusters_alone=tuple(_cluster_alone(each, rates, 1) for each in shape.clusters),
        clusters=clusters,
        failover=failover,
        region=region,
        region_move=move,
        causes=_causes(shape, rates, shares, failover.moving * of_the_region.availability, move),
    )


_NOWHERE = Takeover(0, 1, 0)
"""There is no standby: an outage is neither moved nor waited for, it lasts until it is mended."""


def _replica(shape: ClusterShape, rates: FaultRates, share: float) -> Part:
    """A replica by a share of its failures: its GPUs, its nodes and its engine in series."""
    gpu = thinned(rates.gpu_mtbf_hours, rates.gpu_mttr_hours, share)
    node = thinned(rates.node_mtbf_hours, rates.node_mttr_hours, share)
    engine = thinned(rates.engine_mtbf_hours, rates.engine_mttr_hours, share)
    return series(*[gpu] * shape.gpus_per_replica, *[node] * shape.nodes_per_replica, engine)


def _cluster_alone(shape: ClusterShape, rates: FaultRates, share: float) -> Part:
    """k of n replicas by a share of their failures, which hit one replica or one node each."""
    gpu = thinned(rates.gpu_mtbf_hours, rates.gpu_mttr_hours, share)
    engine = thinned(rates.engine_mtbf_hours, rates.engine_mttr_hours, share)
    if shape.gpus_per_replica > shape.gpus_per_node:
        return grouped(
            shape.needed, nodes=shape.replicas, units_per_node=1, node=PERFECT, unit=_replica(shape, rates, share)
        )
    return grouped(
        shape.needed,
        nodes=shape.gpus // shape.gpus_per_node,
        units_per_node=shape.replicas_per_node,
        node=thinned(rates.node_mtbf_hours, rates.node_mttr_hours, share),
        unit=series(*[gpu] * shape.gpus_per_replica, engine),
    )


def _causes(
    shape: FleetShape, rates: FaultRates, shares: _Shares, moving: float, move: Switchover
) -> tuple[Cause, ...]:
    """Every cause by what it costs while no greater one is there, so that they add up."""
    active = shape.clusters[0]
    bad_changes = rates.changes_per_year * rates.change_failure_share * rates.change_escape_share
    change = repairable(HOURS_PER_YEAR / bad_changes, rates.change_restore_hours) if bad_changes else PERFECT
    # A replica that dies takes its share of the requests along until the load balancer has noticed.
    replica = _replica(active, rates, shares.alone)
    dying = 1 - 1 / (1 + replica.failures_per_hour * rates.take_out_seconds / 3600)
    groups = (
        (Cause("bad changes that reach the whole fleet", change.unavailability),),
        (Cause("common causes that hit every Region", _replica(active, rates, shares.fleet).unavailability),),
        (
            Cause("no Region left", move.nothing_left),
            Cause("a Region's move failed: waiting for a person", move.person),
            Cause("a Region's move under way", move.moving),
            Cause("a cluster's failover under way", moving),
        ),
        (Cause("a dead replica still gets requests", dying),),
    )
    found: list[Cause] = []
    left = 1.0
    for group in groups:
        found += [Cause(cause.name, cause.unavailability * left) for cause in group]
        left *= 1 - sum(cause.unavailability for cause in group)
    return tuple(found)
