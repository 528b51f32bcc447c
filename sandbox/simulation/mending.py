"""`cluster_recovery` of one cluster: when one begins and what it does next are the deployed decisions.

`begin_recoveries` looks each minute; here it looks at those minutes only at which its decision may be another one than
the last time. So does a recovery that waits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sandbox.simulation.ills import NOTHING_HELPS, SILENT
from sandbox.simulation.script import Kind
from standfast import failover, recovery, recovery_start, recovery_waits
from standfast.brake import Brake, Switch
from standfast.checks import NodeFinding, NodeHealth
from standfast.failover import FAILED
from standfast.fleet import Automation
from standfast.health import Verdict
from standfast.lease import HolderState, Purpose
from standfast.recovery import Evidence, Member, RecoveryAction, Remedy
from standfast.recovery_record import RecoveryRecord
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.simulation.agenda import Event
    from sandbox.simulation.control import Control
    from sandbox.simulation.ills import Replica
    from sandbox.simulation.world import Cluster
    from standfast.recovery import Decision

LOOK_SECONDS: Final = 60.0
"""The schedule of begin_recoveries."""
TARGETS_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 15.0
APPLY_SECONDS: Final = 3.0
"""template.yaml: TargetWaitSeconds, LeaseWaitSeconds, RemedyWaitSeconds."""
_LATER: Final = 0.01
_RUN: Final = Brake(Switch(Automation.RUN, "the simulation runs it", "", 0.0))
_WELL: Final = "its GPUs answer without a fault"


class Mending:
    """The recoveries of one cluster."""

    def __init__(self, control: Control, cluster: Cluster) -> None:
        self._control, self._cluster = control, cluster
        self.record = RecoveryRecord(cluster.name)
        self._agenda = control.world.agenda
        self._phase = control.world.draw(8, cluster.replicas[0].key) * LOOK_SECONDS
        self._look_event: Event | None = None
        self._plan_event: Event | None = None
        self._began_at = 0.0
        self._waits = False
        self.begun = self.gave_up = 0

    def changed(self) -> None:
        """Something changed in the cluster."""
        if self._waits:
            self._plan_after(self._control.world.rates["plan_seconds"])
        elif self.record.lease.holder is None:
            self._look_at(self._agenda.now)

    def wake(self) -> None:
        """What Standfast runs on is back."""
        if self.record.lease.holder is None:
            self._look_at(self._agenda.now)
        else:
            self._plan_after(self._control.world.rates["plan_seconds"])

    def nodes(self) -> NodeHealth:
        """What the nodes' own reports say."""
        replicas = [replica for replica in self._cluster.replicas if not replica.away]
        findings = tuple(_finding(replica) for replica in replicas)
        silent = all(finding.verdict is Verdict.UNKNOWN for finding in findings)
        return NodeHealth(self._cluster.name, None if silent else self._control.now, findings)

    def begin(self, *, failed_over: bool = False) -> None:
        """A recovery begins, if one is due."""
        control = self._control
        view = control.view(self._cluster.name, self.nodes())
        state = HolderState.RUNNING if self.record.lease.holder else HolderState.ENDED
        if state is HolderState.ENDED:
            self.record = recovery_start.noted(view, self.record, control.now)
        due = recovery_start.decide_begin(view, self.record, state, _RUN, control.now, failed_over=failed_over)
        if not due.begin:
            if due.next_change_at is not None:
                self._look_at(due.next_change_at + _LATER)
            elif state is HolderState.ENDED and self._cluster.working < self._cluster.shape.replicas:
                self._look_at(self._agenda.now)  # the watch has not judged it yet
            return
        self.begun += 1
        self.record = self.record.taken_by(due.name, state, control.now)
        self._began_at = control.now
        self._plan_after(control.world.rates["plan_seconds"])

    def _look_at(self, moment: float) -> None:
        """At the schedule's next minute from then on."""
        minutes = max(0, int((moment - self._phase) / LOOK_SECONDS) + 1)
        at = self._phase + minutes * LOOK_SECONDS
        if self._look_event is not None and self._look_event.is_pending:
            if self._look_event.at <= at:
                return
            self._look_event.cancel()
        self._look_event = self._agenda.at(at, self._look)

    def _look(self) -> None:
        if not self._control.is_away:  # else `wake` looks again
            self.begin()

    def _plan_after(self, seconds: float) -> None:
        if self._plan_event is not None and self._plan_event.is_pending:
            if self._plan_event.at <= self._agenda.now + seconds:
                return
            self._plan_event.cancel()
        self._plan_event = self._agenda.after(seconds, self._plan)

    def _plan(self) -> None:
        """PlanRemedy, and what comes of it."""
        control = self._control
        self._waits = False
        if control.is_away or self.record.lease.holder is None:
            return
        evidence = self._evidence()
        decision = recovery.decide(evidence, control.config.recovery, control.now)
        acts: dict[RecoveryAction, Callable[[Decision], None]] = {
            RecoveryAction.TREAT: self._treat,
            RecoveryAction.BRING_BACK: self._bring_back,
            RecoveryAction.DONE: self._done,
            RecoveryAction.GIVE_UP: self._give_up,
        }
        if decision.action in acts:
            acts[decision.action](decision)
            return
        self._waits = True
        at = recovery_waits.next_change_at(evidence, control.config.recovery, control.now)
        if at is not None:
            self._plan_after(at - control.now + _LATER)

    def _evidence(self) -> Evidence:
        control, cluster = self._control, self._cluster
        members = [
            Member(
                replica.instance_id,
                _finding(replica),
                answers=replica.works,
                registered=replica.registered,
                launched_at=replica.launched_at,
                detail="" if replica.works else replica.mode.name.lower(),
            )
            for replica in cluster.replicas
            if not replica.away
        ]
        view = control.view(cluster.name, self.nodes())
        serves = recovery_start.serves(view, cluster.name)
        expected, saturated = cluster.shape.replicas, view.assessments[cluster.name].saturated
        return Evidence(
            cluster.name, expected, serves, members, self.record.remedies, self.record.taken_out, self._began_at,
            saturated,
        )  # fmt: skip

    def _treat(self, decision: Decision) -> None:
        """TakeOut, WaitForRequests, ApplyRemedy."""
        control, now = self._control, self._control.now
        by_id = {replica.instance_id: replica for replica in self._cluster.replicas}
        names = [each.instance_id for each in decision.treatments]
        remedies = [
            Remedy(f"{each.instance_id}-{each.rung}-{self.record.version}", each.instance_id, each.rung, now, "")
            for each in decision.treatments
        ]
        self.record = self.record.with_out(names, set(by_id)).with_remedies(remedies, now)
        self.record = replace(self.record, version=self.record.version + 1)
        wait = APPLY_SECONDS
        if any(each.answers for each in decision.treatments):
            wait += control.config.failover.drain_seconds
        for each in decision.treatments:
            replica, rung = by_id[each.instance_id], each.rung
            control.world.register(replica, registered=False)
            self._agenda.after(wait, partial(control.world.treat, replica, rung))
        self._plan_event = self._agenda.after(wait + APPLY_SECONDS + control.world.rates["plan_seconds"], self._plan)

    def _bring_back(self, decision: Decision) -> None:
        for replica in self._cluster.replicas:
            if replica.instance_id in decision.bring_back:
                self._control.world.register(replica, registered=True)
        self.record = self.record.without_out(decision.bring_back)
        self._plan_event = self._agenda.after(TARGETS_SECONDS + self._control.world.rates["plan_seconds"], self._plan)

    def _done(self, _decision: Decision) -> None:
        """Readmit, AnnounceRecovery."""
        if not self._readmit():
            self._plan_event = self._agenda.after(LEASE_SECONDS, self._plan)
            return
        self.record = replace(self.record.succeeded(), version=self.record.version + 1)
        self._look_at(self._agenda.now)

    def _readmit(self) -> bool:
        """Whether its role is as it should be by now: quarantined to standby, in a step of its own."""
        control, name = self._control, self._cluster.name
        if control.record.desired.roles[name] not in FAILED:
            return True
        held = control.under_lease(Purpose.RECOVERY)
        if held is None:
            return False
        desired = control.record.desired
        roles = failover.roles_with_readmitted(name, desired)
        control.write(desired.next(token=held.token, reason="mended", now=control.now, roles=roles))
        return True

    def _give_up(self, decision: Decision) -> None:
        """GiveUpRecovery: a hold-down, and a page. The person mends what can be mended."""
        control = self._control
        self.gave_up += 1
        control.pages += 1
        first = control.config.recovery.hold_down_seconds
        self.record = replace(self.record.failed(first, control.now, decision.reason), version=self.record.version + 1)
        self._look_at(self._agenda.now)
        self._agenda.after(control.world.rates["person_minutes"] * 60, self._by_hand)

    def _by_hand(self) -> None:
        """A person mends each node by what it needs, and puts back what was taken out."""
        for replica in self._cluster.replicas:
            if replica.needs and not replica.away:
                self._control.world.treat(replica, Action(replica.needs))
            if not replica.registered and not replica.away:
                self._control.world.register(replica, registered=True)
        self.record = replace(self.record, taken_out=frozenset())


def _finding(replica: Replica) -> NodeFinding:
    """What the node's own report says of it."""
    name = replica.instance_id
    if any(ill.kind in SILENT for ill in replica.ills):
        return NodeFinding(name, Verdict.UNKNOWN, "no agent answers there")
    needs = max((ill.rung for ill in replica.ills if ill.kind is Kind.GPU), default=0)
    if needs and needs < NOTHING_HELPS:
        return NodeFinding(name, Verdict.UNHEALTHY, "a GPU is at fault", Action(needs))
    return NodeFinding(name, Verdict.HEALTHY, _WELL)
