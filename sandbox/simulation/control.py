"""Standfast in one Region: the deployed decisions, and what it does by them.

`health.assess`, `failover.decide_start`, `lease.decide`, `failover.select`, `traffic.Desired`, `failover.roles_after`,
`recovery.decide`: what is called here is what the functions call. What AWS does in between is a delay.

Left out: the second way in (alarms look for themselves), for it starts the same execution by the same rules; shedding,
for it moves nothing; planned events. The Regions' own moves are `region_moves`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox.simulation.execution import Execution, Move
from sandbox.simulation.mending import Mending
from sandbox.simulation.referee import LATE_SECONDS, Referee
from sandbox.simulation.script import HOUR
from sandbox.simulation.sight import Sight, Vantage
from standfast import failover, lease, outside, planned_move
from standfast.brake import Brake, Switch
from standfast.failover import StartAction
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.lease import Claim, HolderState, Lease, LeaseAction
from standfast.stores import AppliedConfig, ScopeRecord, View
from standfast.stores import Sight as Sighted
from standfast.traffic import Desired, all_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.simulation.agenda import Event
    from sandbox.simulation.world import Region, World
    from standfast.checks import NodeHealth
    from standfast.fleet import FleetConfig
    from standfast.health import Assessment

RUN: Final = Brake(Switch(Automation.RUN, "the simulation runs it", "", 0.0))


class Control:
    """One Region under Standfast. `coverage`: see `cluster_coverage`."""

    def __init__(self, world: World, region: Region, config: FleetConfig, pass_seconds: float) -> None:
        self.world, self.region, self.config = world, region, config
        self.rules = config.region(region.name)
        self.referee = Referee(region, world.agenda)
        active = region.shape.active.name
        roles = {name: Role.ACTIVE if name == active else Role.STANDBY for name in region.clusters}
        desired = Desired(1, 0, all_to(active, region.clusters), roles, "as the FleetConfig says", 0.0)
        self.record = ScopeRecord(region.name, desired)
        self._applied = AppliedConfig(1, config)
        self.vantage = Vantage(world, region, config, pass_seconds)
        self._sights = {name: Sight(self.vantage, cluster, self) for name, cluster in region.clusters.items()}
        self.mending = {name: Mending(self, cluster) for name, cluster in region.clusters.items()}
        self.broken_until = 0.0
        self._again: Event | None = None
        self._ran = True
        self._person: set[str] = set()
        self._failback_at = 0.0
        self.executions = self.gave_up = self.pages = 0
        self.moves: list[Move] = []
        region.watchers += [self.referee, self]

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.world.agenda.now

    @property
    def is_away(self) -> bool:
        """Whether what Standfast runs on is away."""
        return self.region.platform_away > 0

    def view(self, cluster: str, nodes: NodeHealth) -> View:
        """What the state table holds of a cluster."""
        assessments = {cluster: self.assessment(cluster)}
        return View(self.record, self._applied, {}, assessments, 0, nodes={cluster: nodes})

    def assessment(self, name: str) -> Assessment:
        """The watch's last judgement of a cluster."""
        return self._sights[name].assess()

    def changed(self, cluster: str) -> None:
        """Something changed in the Region."""
        self._follow_watch()
        for name, sight in self._sights.items():
            if self._ran and cluster in ("", name):
                sight.wake(all_anew=not cluster)
            if cluster in ("", name):
                self.mending[name].changed()
        self._settle()
        self._note()
        if self.referee.dead_since == self.world.agenda.now:
            self.world.agenda.after(LATE_SECONDS, self._note)
        if self.is_away and self._needs_help():
            self.call_person("the active cluster is dead and Standfast is away")

    def _follow_watch(self) -> None:
        """The watch ended, or begins anew."""
        runs = self.vantage.runs
        if runs and not self._ran:
            for sight in self._sights.values():
                sight.begin()
            for mending in self.mending.values():
                mending.wake()
        elif not runs and self._ran:
            for sight in self._sights.values():
                sight.forget()
        self._ran = runs

    def judge(self, name: str) -> None:
        """What Watch._judge does after each pass and each failed probe."""
        if not self.is_active(name) or not self.vantage.runs:
            return
        decision = failover.decide_start(self.region.name, self.record, {name: self.assessment(name)}, RUN, self.now)
        if decision.action is StartAction.START and not self._is_denied():
            self._start(name)
            return
        again_at = decision.next_change_at
        if decision.action is StartAction.START:
            again_at = self.vantage.next_pass(self.now) + self.vantage.pass_seconds
        if again_at is not None and not (self._again and self._again.is_pending):
            self._again = self.world.agenda.at(again_at, lambda: self.judge(name))

    def _is_denied(self) -> bool:
        """What Starter asks before it starts anything."""
        verdict = Verdict.HEALTHY if self.vantage.is_denied() else Verdict.UNHEALTHY
        sight = Sighted("elsewhere", self.region.name, verdict, "the entry answers", self.now)
        return bool(outside.denial(self.region.name, [sight], self.now))

    def matters(self, judged: Sequence[Assessment]) -> bool:
        """Whether what the watch would do depends on which of these it comes to."""
        acts = {
            failover.decide_start(self.region.name, self.record, {each.cluster_id: each}, RUN, self.now).action
            for each in judged
        }
        return len(acts) > 1

    def _start(self, failed: str) -> None:
        self.executions += 1
        claim = Claim(f"failover-{self.executions}", lease.Purpose.FAILOVER)
        state = HolderState.RUNNING if self.record.lease.holder else HolderState.UNKNOWN
        decided = lease.decide(self.record.lease, claim, state, self.now)
        if decided.action is LeaseAction.REFUSE:
            return
        self.record = replace(self.record, lease=decided.lease)
        self._note()
        Execution(self, failed, self.executions).begin()

    def write(self, desired: Desired) -> None:
        """Desired state as it is from now on."""
        before, after = (each.cluster_with(Role.ACTIVE) for each in (self.record.desired, desired))
        self.record = replace(self.record, desired=desired)
        if after is not None and after != before and self.vantage.runs:
            self._sights[after].wake(all_anew=True)

    def is_active(self, name: str) -> bool:
        """Whether a cluster is the one that the watch decides on."""
        return name == self.record.desired.cluster_with(Role.ACTIVE)

    def release(self, *, succeeded: bool) -> None:
        """The failover lets go of the lease; one that did not succeed holds the next one down."""
        attempts, not_before = 0, 0.0
        if not succeeded:
            attempts = self.record.attempts + 1
            first = self.config.failover.hold_down_seconds
            not_before = self.now + failover.hold_down_seconds(attempts, first)
        self.record = replace(
            self.record, lease=lease.released(self.record.lease), attempts=attempts, not_before=not_before
        )
        self._note()
        active = self.record.desired.cluster_with(Role.ACTIVE)
        if active is not None:
            self.judge(active)

    def under_lease(self, purpose: lease.Purpose) -> Lease | None:
        """The lease for one step, None where somebody else is at work."""
        claim = Claim("step", purpose)
        state = HolderState.RUNNING if self.record.lease.holder else HolderState.UNKNOWN
        decided = lease.decide(self.record.lease, claim, state, self.now)
        if decided.action is LeaseAction.REFUSE:
            return None
        self.record = replace(self.record, lease=lease.released(decided.lease))
        return decided.lease

    def route(self, cluster: str, *, was_dead: bool) -> None:
        """The load balancer goes by other weights."""
        if self.region.traffic != cluster:
            self.referee.moved(was_dead=was_dead)
            self.world.route(self.region, cluster)
            self._failback_later()

    def call_person(self, why: str) -> None:
        """Somebody is paged, and comes: once for what is the same."""
        self.pages += 1
        if why in self._person:
            return
        self._person.add(why)
        self.world.agenda.after(self.world.rates["person_minutes"] * 60, lambda: self._person_acts(why))

    def _person_acts(self, why: str) -> None:
        self._person.discard(why)
        self.broken_until = 0.0
        if not self._needs_help():
            return
        best = max(self.region.candidates(), key=lambda each: each.working)
        self._move_by_hand(best.name, was_dead=True)

    def _needs_help(self) -> bool:
        serving = self.region.serving
        return serving is not None and serving.is_dead and any(self.region.candidates())

    def _move_by_hand(self, to: str, *, was_dead: bool) -> None:
        desired = self.record.desired
        source = desired.cluster_with(Role.ACTIVE)
        roles = desired.roles
        if source is not None and source != to:
            roles = (
                failover.roles_after(desired, source, to) if was_dead else planned_move.roles_after(desired, source, to)
            )
        weights = all_to(to, self.region.clusters)
        self.write(desired.next(token=desired.token, reason="by hand", now=self.now, weights=weights, roles=roles))
        self.write(replace(self.record.desired, roles=failover.roles_after_drain(self.record.desired)))
        if was_dead:
            self.route(to, was_dead=True)
        elif self.region.traffic != to:
            self.world.route(self.region, to)

    def _failback_later(self) -> None:
        """By itself where the FleetConfig wants that, else by a person on another day."""
        at = self.world.rates["failback_hours"] * HOUR
        if self.config.moves.automatic_failback:
            at = self.config.moves.failback_after_seconds
        self._failback_at = self.world.agenda.now + at
        self.world.agenda.after(at, self._fail_back)

    def _fail_back(self) -> None:
        home, desired = self.region.shape.active.name, self.record.desired
        if self.world.agenda.now < self._failback_at or desired.cluster_with(Role.ACTIVE) == home:
            return
        well = self.region.clusters[home].working == self.region.clusters[home].shape.replicas
        busy = self.record.lease.holder is not None or self.is_away or self.region.lost
        if busy or not well or desired.roles[home] is not Role.STANDBY or not self._decides_to_go_back():
            self.world.agenda.after(HOUR, self._fail_back)
            return
        self._move_by_hand(home, was_dead=False)

    def _decides_to_go_back(self) -> bool:
        if not self.config.moves.automatic_failback:
            return True
        home = self.region.shape.active.name
        view = self.view(home, self.mending[home].nodes())
        return bool(planned_move.decide_failback(self.region.name, view, RUN, self.now).execution_name)

    def _settle(self) -> None:
        """What Reconciler.settle does each five seconds: a move that was made and is served is recorded."""
        left = failover.unfinished(self.record.desired)
        if left is None or self.record.lease.holder is not None or self.is_away:
            return
        fresh = self.config.detection.fresh_seconds
        if failover.why_not_settled(left, {left.chosen: self.assessment(left.chosen)}, fresh, self.now):
            return
        desired = self.record.desired
        roles = failover.roles_after(desired, left.failed, left.chosen)
        settled = desired.next(token=desired.token, reason="settled", now=self.now, roles=roles)
        self.write(replace(settled, roles=failover.roles_after_drain(settled)))

    def _note(self) -> None:
        """For the books: whether a failover is at work, or the watch about to start one."""
        dead_since, late = self.referee.dead_since, self.world.agenda.now - LATE_SECONDS
        expected = self.vantage.runs and self.record.attempts == 0 and dead_since is not None and dead_since > late
        at_work = self.record.lease.holder is not None or expected
        self.world.changes()
        (self.world.books.moving.add if at_work else self.world.books.moving.discard)(self.region.name)
