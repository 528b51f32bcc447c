"""Looking after a Region's redundancy: one incident a loss, one page once a rebuilding has had its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import recovery_announcements, redundancy
from standfast.errors import StandfastError
from standfast.incidents import Change, Kind
from standfast.lease import HolderState
from standfast.redundancy import Evidence, State
from standfast.telling import tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.brake import Brake
    from standfast.incident_keeping import IncidentKeeper
    from standfast.incidents import Incident
    from standfast.recovery_ports import Recoveries, RecoveryStore, Scaling
    from standfast.redundancy import Decision, Standing
    from standfast.stores import IncidentStore, SwitchStore, View

ACTIVITY_SECONDS = 3600.0
"""An older refusal says nothing about now: Auto Scaling tries again every few minutes."""


@dataclass(frozen=True, slots=True)
class RedundancyKeeper:
    """One Region with its ports. `look` may be repeated, and several may run at once. `keeper` writes incidents."""

    keeper: IncidentKeeper
    records: RecoveryStore
    recoveries: Recoveries
    scaling: Scaling
    switches: SwitchStore
    told: IncidentStore

    def look(self, said: Mapping[str, str], now: float) -> str:
        """Open, follow and close the incident of a lost standby. Returns how the Region stands, in a sentence.

        `said`: what the look at each cluster has just found. While a standby is proven, nothing more is asked.
        """
        view, brake = self.keeper.views.view(), self.switches.glance_at_brake()
        decision = self._decide(view, brake, said, now)
        opened = [each for each in self.keeper.log.open_incidents() if each.kind is Kind.REDUNDANCY]
        known = opened[0] if opened else None
        change = redundancy.follow(view, decision, known, now)
        wrote = f"; {self.keeper.write(change, now)}" if change else ""
        stands = change.incident if change is not None and change.change is not Change.CLOSED else known
        grace = view.applied.config.recovery.redundancy_grace_seconds
        lost = decision.state in (State.REBUILDING, State.LOST)
        if lost and stands is not None and now - stands.opened_at >= grace and self._page(decision, stands, now):
            wrote += "; somebody was paged"
        return f"{decision.reason}{wrote}"

    def _decide(self, view: View, brake: Brake, said: Mapping[str, str], now: float) -> Decision:
        standings = redundancy.standings(view, brake, now)
        at_once = redundancy.decide_at_once(view, standings)
        if at_once is not None:
            return at_once
        evidence = [self._evidence(each, said.get(each.cluster_id, ""), now) for each in standings]
        return redundancy.decide(view.scope.scope_id, evidence, view.applied.config.recovery, brake, now)

    def _evidence(self, standing: Standing, said: str, now: float) -> Evidence:
        record = self.records.read_recovery(standing.cluster_id)
        holder = record.lease.holder
        state = self.recoveries.holder_state(holder) if holder else HolderState.ENDED
        try:
            failed = self.scaling.failed_activities(standing.cluster_id, now - ACTIVITY_SECONDS)
        except StandfastError as error:  # that there is no standby must be told all the same
            return Evidence(standing, record, state, unasked=f"Auto Scaling could not be asked: {error}", said=said)
        return Evidence(standing, record, state, failed, said=said)

    def _page(self, decision: Decision, incident: Incident, now: float) -> bool:
        announcement = recovery_announcements.no_standby(decision, incident, now)
        if self.told.outcome(incident.incident_id, since=0.0) == announcement.outcome:
            return False  # once, however long it lasts
        return tell(
            announcement,
            incident_id=incident.incident_id,
            scope_id=incident.scope_id,
            failed_cluster_id=decision.cluster_ids[0] if len(decision.cluster_ids) == 1 else "",
            incidents=self.told,
            messenger=self.keeper.messenger,
            switches=self.switches,
            now=now,
        )
