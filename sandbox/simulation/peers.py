"""What a team would use instead of Standfast, as documented, on the same faults.

| policy | within a Region | a replica that does not come back by itself |
|---|---|---|
| `route53` | nothing: one cluster has the traffic | a person, once errors were seen for three minutes |
| `alb` | all replicas of both clusters in one target group, checked each 5 s, 2 in a row | the same |
| `liveness` | as `alb` | restarted after three probes of 10 s where /health tells; else the same |
| `alarm` | a CloudWatch alarm (3 x 60 s) has a Lambda move the weight to the other cluster | the same |
| `paging` | the alarm pages a person, who after 15 minutes moves it to a cluster that serves | the same |

Route 53 between the Regions is the same for all, and so is an engine that crashes: it is started again.
The alarm is on failed requests or on targets that are not healthy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.simulation.ills import Mode
from sandbox.simulation.referee import Referee
from sandbox.simulation.script import HOUR
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.simulation.agenda import Event
    from sandbox.simulation.ills import Replica
    from sandbox.simulation.world import Region, World

ERRORS_SHARE: Final = 0.05
"""Of the requests: as FleetConfig's objectives.error_rate."""
POOLED: Final = frozenset({"alb", "liveness"})
PEERS: Final = {
    "route53": "Route 53 alone (10 s x 3, TTL 60)",
    "alb": "ALB target health (5 s x 2), one group",
    "liveness": "Kubernetes liveness (10 s x 3)",
    "alarm": "CloudWatch alarm (3 x 60 s), Lambda",
    "paging": "the alarm, and a person (15 min)",
}


class Peer:
    """One of these in one Region."""

    def __init__(self, world: World, region: Region, policy: str) -> None:
        self.world, self.region, self.policy = world, region, policy
        if policy in POOLED:
            region.traffic = None
        self.referee = Referee(region, world.agenda)
        region.watchers += [self.referee, self]
        self._alarm: Event | None = None
        self._mending: set[int] = set()
        self._restarts: dict[int, Event] = {}

    def changed(self, _cluster: str) -> None:
        """Something changed in the Region."""
        replicas = [replica for cluster in self.region.clusters.values() for replica in cluster.replicas]
        for replica in replicas:
            if replica.needs and replica.key not in self._mending:
                self._mending.add(replica.key)
                self.world.agenda.after(self._alarm_seconds() + self._person_seconds(), self._by_hand(replica))
            if self.policy == "liveness":
                self._probe(replica)
        if self.policy in ("alarm", "paging"):
            self._look()

    def _person_seconds(self) -> float:
        return self.world.rates["person_minutes"] * 60

    def _alarm_seconds(self) -> float:
        """Whole periods that are bad: the one in which it begins is not."""
        rates = self.world.rates
        period = rates["alarm_period_seconds"]
        phase = self.world.draw(9, self.region.number, int(self.world.agenda.now))
        return period * (rates["alarm_periods"] + phase)

    def _by_hand(self, replica: Replica) -> Callable[[], None]:
        def mend() -> None:
            self._mending.discard(replica.key)
            if replica.needs and not (replica.away or replica.loading):
                self.world.treat(replica, Action(replica.needs))

        return mend

    def _probe(self, replica: Replica) -> None:
        """The kubelet: a container that fails its liveness probes is restarted."""
        rates, agenda, key = self.world.rates, self.world.agenda, replica.key
        late = self._is_late(replica)
        fails = (late or any(ill.tells for ill in replica.ills)) and not (replica.loading or replica.away)
        pending = self._restarts.get(key)
        if not fails:
            if pending is not None:
                pending.cancel()
            return
        if pending is not None and pending.is_pending:
            return
        phase = self.world.draw(10, key, int(agenda.now))
        seconds = rates["liveness_period_seconds"] * (rates["liveness_failures"] - 1 + phase)
        self._restarts[key] = agenda.after(seconds, lambda: self._restart(replica))

    def _is_late(self, replica: Replica) -> bool:
        """A crowd makes /health late: of all replicas, for all have traffic."""
        share = self.region.stall_fails_health
        return replica.works and any(stall.lots[2] < share for stall in self.region.stalls)

    def _restart(self, replica: Replica) -> None:
        """A restart; what crashed is being restarted already."""
        if replica.works or replica.mode is Mode.HANGS:
            self.world.treat(replica, Action.RESTART_ENGINE)

    def _look(self) -> None:
        """The alarm on the cluster with the traffic: it goes off once it was bad for whole periods without a break."""
        bad, pending = self._is_bad(), self._alarm
        if not bad:
            if pending is not None:
                pending.cancel()
            self._alarm = None
            return
        if pending is None:
            self._alarm = self.world.agenda.after(self._alarm_seconds(), self._goes_off)

    def _is_bad(self) -> bool:
        region = self.region
        if region.lost:
            return True
        serving = region.serving
        late = any(stall.lots[2] < region.stall_fails_health for stall in region.stalls)
        return late or (serving is not None and (serving.is_dead or 1 - region.shares(1)[0] > ERRORS_SHARE))

    def _goes_off(self) -> None:
        rates, agenda = self.world.rates, self.world.agenda
        was_dead = self.region.serving is not None and self.region.serving.is_dead
        if self.policy == "alarm":
            agenda.after(rates["alarm_action_seconds"], lambda: self._move(proven=False, was_dead=was_dead))
        else:
            agenda.after(rates["paging_minutes"] * 60, lambda: self._move(proven=True, was_dead=was_dead))

    def _fail_back(self) -> None:
        home = self.region.shape.active.name
        if self.region.traffic != home and not self.region.clusters[home].is_dead:
            self.world.route(self.region, home)

    def _move(self, *, proven: bool, was_dead: bool) -> None:
        """The weight goes to the other cluster; a person looks first whether that is right, a Lambda does not."""
        region, now = self.region, self.world.agenda.now
        self._alarm = None
        if not region.lost and not (proven and not (region.serving and region.serving.is_dead)):
            others = [each for each in region.clusters.values() if each.name != region.traffic]
            fit = [each for each in others if not each.is_dead] if proven else others
            if fit:
                self.referee.moved(was_dead=was_dead)
                self.world.route(region, max(fit, key=lambda each: each.shape.replicas).name)
                self.world.agenda.after(self.world.rates["failback_hours"] * HOUR, self._fail_back)
        if self._is_bad() and self._alarm is None:  # it goes on, and the next alarm is another one
            self._alarm = self.world.agenda.at(now + self._alarm_seconds(), self._goes_off)
