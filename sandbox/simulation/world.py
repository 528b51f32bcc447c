"""The fleet as it is at a moment: replicas, target groups, weights, users. It knows nothing of who watches it.

A load balancer spreads requests alike over the targets that it thinks healthy; over all, where none is (fail-open). A
replica that works serves its part up to its capacity; what it cannot carry is lost. Traffic is measured in replicas'
worth: `load_share` of what the active cluster of a Region has when all is well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.simulation.books import Books
from sandbox.simulation.chance import exponential, lot, spread
from sandbox.simulation.ills import Mode, Replica, ill_of
from sandbox.simulation.script import HOUR, Kind, Reach
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Protocol

    from sandbox.simulation.agenda import Agenda
    from sandbox.simulation.ills import Ill
    from sandbox.simulation.rates import Rates
    from sandbox.simulation.script import Fault
    from sandbox.simulation.shape import ClusterShape, RegionShape

    class Watcher(Protocol):
        """Who is told after each change of a Region."""

        def changed(self, cluster: str) -> None:
            """Something changed in this cluster."""
            ...


class Look:
    """A watcher that looks at the whole Region, whichever of its clusters changed."""

    def __init__(self, look: Callable[[Region], None], region: Region) -> None:
        self._look, self._region = look, region

    def changed(self, _cluster: str) -> None:
        """Look."""
        self._look(self._region)


MOST_CLUSTERS, MOST_REPLICAS = 64, 1024
"""Of a Region, of a cluster: a replica's key stays the same whatever others there are."""
BOOTING: Final = 2 / 3
"""Of a replacement's time: while the new instance is there and boots. Before, the old one ends and it is launched."""


class Cluster:
    """One cluster's replicas."""

    __slots__ = ("name", "replicas", "shape")

    def __init__(self, region: str, shape: ClusterShape, first_key: int) -> None:
        self.name, self.shape = shape.name, shape
        self.replicas = [Replica(region, shape.name, place, first_key + place) for place in range(shape.replicas)]

    @property
    def working(self) -> int:
        """How many replicas answer."""
        return sum(replica.works for replica in self.replicas)

    @property
    def is_dead(self) -> bool:
        """Fewer than half of its replicas answer (DESIGN.md, 1)."""
        return 2 * self.working < self.shape.replicas


def targets(*group: Cluster) -> list[Replica]:
    """Those of one target group that a request may meet just now."""
    registered = [replica for cluster in group for replica in cluster.replicas if replica.registered]
    return [replica for replica in registered if replica.in_rotation] or registered


class Region:
    """A Region: its clusters, and which of them its load balancer sends requests to; None: to all, as one group."""

    def __init__(self, number: int, shape: RegionShape, load: float, stall_fails_health: float) -> None:
        self.number, self.name, self.shape, self.load = number, shape.name, shape, load
        self.clusters: dict[str, Cluster] = {}
        for place, cluster in enumerate(shape.clusters):
            key = (number * MOST_CLUSTERS + place) * MOST_REPLICAS
            self.clusters[cluster.name] = Cluster(shape.name, cluster, key)
        self.traffic: str | None = shape.active.name
        self.lost = 0
        self.platform_away = 0
        self.watch_ended: list[Fault] = []
        self.blips: list[Fault] = []
        self.stalls: list[Fault] = []
        self.spoilt: list[Fault] = []
        """Bad releases that some of its requests meet."""
        self.stall_fails_health = stall_fails_health
        self.watchers: list[Watcher] = []

    @property
    def serving(self) -> Cluster | None:
        """The cluster with the traffic."""
        return None if self.traffic is None else self.clusters[self.traffic]

    def targets(self) -> list[Replica]:
        """Those that a request may meet just now."""
        return targets(*(self.clusters.values() if self.traffic is None else (self.clusters[self.traffic],)))

    def shares(self, crowd: float) -> tuple[float, float]:
        """Of the requests: the share that meets a replica that works, and the share that is served.

        `crowd`: how many times the traffic of a quiet day comes.
        """
        if self.lost:
            return 0.0, 0.0
        found = self.targets()
        working = sum(replica.works for replica in found)
        if not working:
            return 0.0, 0.0
        met = working / len(found)
        return met, min(met, working / (self.load * crowd)) if self.load else met

    def candidates(self) -> Iterator[Cluster]:
        """Clusters without the traffic that could serve it."""
        if not self.lost:
            yield from (each for each in self.clusters.values() if each.name != self.traffic and not each.is_dead)


class World:
    """All Regions, and what befalls them. Every change is told to the books before, and to the watchers after it."""

    def __init__(self, shapes: Sequence[RegionShape], rates: Rates, agenda: Agenda, seed: int, year: int) -> None:
        self.rates, self.agenda, self.seed, self.year = rates, agenda, seed, year
        self.regions: dict[str, Region] = {}
        for number, shape in enumerate(shapes):
            load = rates["load_share"] * shape.active.replicas
            self.regions[shape.name] = Region(number, shape, load, rates["stall_fails_health_share"])
        self.users = {name: name for name in self.regions}
        """Users of a Region -> the Region that their requests go to."""
        self.books = Books(self)
        self.remedies = 0

    def draw(self, *key: int) -> float:
        """A lot that belongs to this year and to what it is for."""
        return lot(self.seed, self.year, *key)

    def changes(self) -> None:
        """To be called before each change: what was until now is written down."""
        self.books.advance(self.agenda.now)

    def changed(self, region: Region, cluster: str) -> None:
        """To be called after each change."""
        for watcher in region.watchers:
            watcher.changed(cluster)

    def route(self, region: Region, cluster: str) -> None:
        """The load balancer sends all requests there from now on."""
        self.changes()
        region.traffic = cluster
        self.changed(region, cluster)

    def send_users(self, home: str, to: str) -> None:
        """The users of a Region ask that one from now on."""
        self.changes()
        self.users[home] = to

    def strike(self, fault: Fault) -> None:
        """A fault happens."""
        region = self.regions[fault.region] if fault.region else None
        spells = {
            Kind.BLIP: lambda at: at.blips,
            Kind.STALL: lambda at: at.stalls,
            Kind.WATCH: lambda at: at.watch_ended,
            Kind.RELEASE: lambda at: at.spoilt,
        }
        if region is not None and fault.kind in spells:
            lasts = fault.lots[0] * self.rates["watch_gap_seconds"] if fault.kind is Kind.WATCH else fault.lasts
            self._spell(region, spells[fault.kind](region), fault, lasts)
        elif region is not None and fault.kind in (Kind.REGION, Kind.PLATFORM):
            self._away(region, fault, 1)
            self.agenda.after(fault.lasts, lambda: self._away(region, fault, -1))
        else:
            ill = ill_of(fault, self.rates)
            for replica in self._hit(fault):
                self._fall_ill(replica, ill, fault)

    def _spell(self, region: Region, spell: list[Fault], fault: Fault, lasts: float) -> None:
        self.changes()
        spell.append(fault)
        self.changed(region, "")

        def ends() -> None:
            self.changes()
            spell.remove(fault)
            self.changed(region, "")

        self.agenda.after(lasts, ends)

    def _away(self, region: Region, fault: Fault, more: int) -> None:
        self.changes()
        region.platform_away += more
        if fault.kind is Kind.REGION:
            region.lost += more
        self.changed(region, "")

    def _hit(self, fault: Fault) -> list[Replica]:
        regions = [self.regions[fault.region]] if fault.region else list(self.regions.values())
        clusters = [each for region in regions for each in region.clusters.values()]
        if fault.reach <= Reach.CLUSTER:
            clusters = [each for each in clusters if each.name == fault.cluster]
        found = [replica for cluster in clusters for replica in cluster.replicas]
        return [found[fault.replica]] if fault.reach is Reach.REPLICA else found

    def _fall_ill(self, replica: Replica, ill: Ill, fault: Fault) -> None:
        self.changes()
        replica.ills.append(ill)
        if ill.kind is Kind.CRASH:  # its service manager starts it again
            lasts = spread(self.rates["engine_mttr_hours"] * HOUR, self.draw(1, ill.number, replica.key))
            self.agenda.after(lasts, lambda: self._passes(replica, ill))
        elif ill.rung > Action.REPLACE:
            self.agenda.after(fault.lasts, lambda: self._passes(replica, ill))
        self._follow(replica)

    def _passes(self, replica: Replica, ill: Ill) -> None:
        if ill in replica.ills:  # a remedy may have been faster
            self.changes()
            replica.ills.remove(ill)
            self._follow(replica)

    def _follow(self, replica: Replica) -> None:
        """The load balancer's own health check follows; whoever watches is told."""
        region = self.regions[replica.region]
        if not replica.health_fails:
            replica.in_rotation = True
        elif replica.in_rotation:
            interval, failures = self.rates["alb_interval_seconds"], self.rates["alb_failures"]
            phase = self.draw(2, replica.key, int(self.agenda.now))
            self.agenda.after(interval * (failures - 1 + phase), lambda: self._take_out(replica))
        self.changed(region, replica.cluster)

    def _take_out(self, replica: Replica) -> None:
        if replica.health_fails and replica.in_rotation:
            self.changes()
            replica.in_rotation = False
            self.changed(self.regions[replica.region], replica.cluster)

    def register(self, replica: Replica, *, registered: bool) -> None:
        """Into its target group, or out of it."""
        if replica.registered is not registered:
            self.changes()
            replica.registered = registered
            self.changed(self.regions[replica.region], replica.cluster)

    def treat(self, replica: Replica, rung: Action) -> None:
        """A remedy begins: the engine is away until it is over and the engine has loaded."""
        self.changes()
        rates = self.rates
        self.remedies += 1
        replica.treated += 1
        turn = replica.treated
        drawn = [self.draw(3, replica.key, place, turn) for place in range(4)]
        seconds = {
            Action.RESET_GPU: "reset_seconds",
            Action.REBOOT: "reboot_seconds",
            Action.REPLACE: "replace_seconds",
        }
        work = spread(rates[seconds[rung]], drawn[0]) if rung in seconds else 0.0
        load = spread(rates["engine_mttr_hours"] * HOUR, drawn[1])
        replica.ills = [ill for ill in replica.ills if ill.rung > rung]
        if rung is Action.REPLACE:
            replica.away, replica.registered = True, False
            booting = work * BOOTING
            if drawn[2] < rates["no_capacity_share"]:
                work += exponential(rates["capacity_hours"] * HOUR, drawn[3])
            self.agenda.after(work - booting, lambda: self._launched(replica, turn, booting + load))
        else:
            replica.loading = True
            self.agenda.after(work + load, lambda: self._loaded(replica, turn))
        self._follow(replica)

    def _launched(self, replica: Replica, turn: int, load: float) -> None:
        self.changes()
        replica.instance += 1
        replica.launched_at = self.agenda.now
        replica.away, replica.registered, replica.loading = False, True, True
        self.agenda.after(load, lambda: self._loaded(replica, turn))
        self._follow(replica)

    def _loaded(self, replica: Replica, turn: int) -> None:
        if turn == replica.treated:  # else it was started again meanwhile
            self.changes()
            replica.loading = False
            self._follow(replica)


def entry_modes(cluster: Cluster) -> list[Mode]:
    """How a request to the targets of a cluster may end; each is as likely. With no target it is refused."""
    return [replica.mode for replica in targets(cluster)] or [Mode.REFUSES]
