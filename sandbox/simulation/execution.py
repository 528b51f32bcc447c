"""One execution of `cluster_failover`: its steps by the deployed decisions, its delays as the sandbox measured them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.simulation.chance import around
from standfast import failover, node_proof
from standfast.errors import NoStandbyProvenError
from standfast.health import EndpointProbe, Outcome
from standfast.lease import Purpose
from standfast.serving import PATIENCE_SECONDS
from standfast.traffic import all_to

if TYPE_CHECKING:
    from sandbox.simulation.control import Control
    from standfast.failover import Proof

_PROBED: Final = 0.6
"""Of the time from the decision to the weights: when the standbys have answered (README, The tour: 0.8 of 1.4 s)."""
_VERIFY_SECONDS: Final = 0.6
"""Three canaries in a row, 0.2 s apart."""


@dataclass(frozen=True, slots=True)
class Move:
    """When a failover was decided, when its weights were written, when the load balancer went by them."""

    decided_at: float
    written_at: float
    arrived_at: float


class Execution:
    """From TakeLease to Announce, or GiveUp. `number` is its own in this Region and year."""

    def __init__(self, control: Control, failed: str, number: int) -> None:
        self._control, self._failed, self._number = control, failed, number
        world, place = control.world, control.region.number
        self._was_dead = control.region.clusters[failed].is_dead
        lots = [world.draw(7, place, number, each) for each in range(4)]
        rates = world.rates
        self._decides = around(rates["decide_seconds"], rates["decide_spread"], lots[0], lots[1])
        self._spreads = rates["propagation_seconds"] + rates["propagation_jitter"] * (2 * lots[2] - 1)
        self._breaks = lots[3] >= rates["cluster_coverage"]
        self._tried: list[str] = []
        self._begun_at = self._written_at = 0.0

    def begin(self) -> None:
        """The lease is taken."""
        self._begun_at = self._written_at = self._control.now
        self._control.world.agenda.after(self._decides * _PROBED, self._select)

    def _select(self) -> None:
        """ProbeStandbys, SelectStandby."""
        control = self._control
        if self._is_stopped():
            return
        desired, fresh = control.record.desired, control.config.detection.fresh_seconds
        proofs = [self._proof(name) for name in sorted(control.region.clusters) if name != self._failed]
        try:
            chosen = failover.select(
                self._failed, proofs, desired, control.rules.clusters, fresh, control.now, tried=self._tried
            )
        except NoStandbyProvenError:
            self._give_up("nothing was proven to go to")
            return
        self._tried.append(chosen.cluster_id)
        control.world.agenda.after(self._decides * (1 - _PROBED), lambda: self._shift(chosen.cluster_id))

    def _proof(self, name: str) -> Proof:
        control = self._control
        cluster = control.region.clusters[name]
        vantage, now = control.vantage, control.now
        seen = [
            vantage.replica(cluster, place)
            for place in range(len(cluster.replicas))
            if cluster.replicas[place].registered
        ]
        canaries = [EndpointProbe(now, now, each.outcome) for each in seen]
        nodes = control.mending[name].nodes()
        rules = control.config.failover
        limitation = (
            node_proof.node_limitation(nodes, rules.node_report_seconds, now) if rules.require_node_report else None
        )
        return failover.proof(name, canaries, control.assessment(name), nodes=limitation)

    def _shift(self, chosen: str) -> None:
        """ShiftTraffic: desired weights under the token; the load balancer goes by them a little later."""
        control = self._control
        if self._is_stopped():
            return
        if self._breaks and control.broken_until <= control.now:
            control.broken_until = control.now + 2 * control.world.rates["person_minutes"] * 60
        if control.broken_until > control.now:
            self._give_up("the failover itself is broken")
            return
        desired, token = control.record.desired, control.record.lease.token
        weights = all_to(chosen, control.region.clusters)
        control.write(desired.next(token=token, reason="a failover", now=control.now, weights=weights, ends_move=True))
        self._written_at = control.now
        control.world.agenda.after(self._spreads, lambda: self._arrive(chosen))

    def _arrive(self, chosen: str) -> None:
        self._control.moves.append(Move(self._begun_at, self._written_at, self._control.now))
        self._control.route(chosen, was_dead=self._was_dead)
        self._control.world.agenda.after(_VERIFY_SECONDS, lambda: self._verify(chosen, self._control.now))

    def _verify(self, chosen: str, began_at: float) -> None:
        """VerifyServing, as `serving.wait_until_serving`: three canaries in a row, or another candidate."""
        control, agenda = self._control, self._control.world.agenda
        if self._is_stopped():
            return
        cluster = control.region.clusters[chosen]
        seen = [control.vantage.entry(cluster, (place + 0.5) / 3) for place in range(3)]
        if all(each.outcome is Outcome.ANSWERED or each.progress for each in seen):
            self._record(chosen)
        elif control.now - began_at < PATIENCE_SECONDS:
            agenda.after(1.0, lambda: self._verify(chosen, began_at))
        else:
            agenda.after(self._decides * _PROBED, self._select)

    def _record(self, chosen: str) -> None:
        """RecordRoles, and once the failed cluster has drained Quarantine, StartRecovery, ReleaseLease."""
        control = self._control
        desired = control.record.desired
        roles = failover.roles_after(desired, self._failed, chosen)
        control.write(desired.next(token=control.record.lease.token, reason="a failover", now=control.now, roles=roles))
        control.world.agenda.after(control.world.rates["release_seconds"], self._end)

    def _end(self) -> None:
        control = self._control
        desired = control.record.desired
        roles = failover.roles_after_drain(desired)
        control.write(desired.next(token=control.record.lease.token, reason="a failover", now=control.now, roles=roles))
        control.release(succeeded=True)
        control.mending[self._failed].begin(failed_over=True)

    def _give_up(self, why: str) -> None:
        """GiveUp: the lease goes back with a hold-down, a person is told, the traffic stays."""
        self._control.gave_up += 1
        self._control.call_person(why)
        self._control.release(succeeded=False)

    def _is_stopped(self) -> bool:
        """What it runs on went away: it ends when that is back, and the reconciler releases what it held."""
        control = self._control
        if not control.is_away:
            return False
        if control.record.lease.purpose is Purpose.FAILOVER:
            control.release(succeeded=False)
        return True
