"""What an assessment tells: changes of a verdict as events, nodes at fault by day, and a page when it sees nothing.

Changes are kept too, and each event says the last ones: one that comes and goes looks like it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from standfast import announcements
from standfast.health import Verdict
from standfast.stores import HealthChange
from standfast.telling import tell
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.announcements import Announcement
    from standfast.checks import Checked, NodeHealth
    from standfast.ports import Messenger
    from standfast.stores import HistoryStore, IncidentStore, SwitchStore

LATELY: Final = 5


@dataclass(frozen=True, slots=True)
class HealthNews:
    """Tells of one scope."""

    scope_id: str
    incidents: IncidentStore
    history: HistoryStore
    messenger: Messenger
    switches: SwitchStore
    now: float

    def of_change(self, before: Checked | None, checked: Checked) -> None:
        """An event for whoever listens. Nobody is woken: what calls for an act is told by who acts."""
        if before is not None and before.verdict is checked.verdict:
            return
        was = str(before.verdict) if before else ""
        change = HealthChange(checked.cluster_id, checked.checked_at, was, str(checked.verdict), checked.reason)
        self.history.write_change(change)
        lately = [asdict(each) for each in self.history.changes(checked.cluster_id, LATELY + 1) if each != change]
        detail = {
            "scope_id": self.scope_id,
            "cluster_id": checked.cluster_id,
            "before": was,
            "verdict": str(checked.verdict),
            "reason": checked.reason,
            "checks": {str(check.name): str(check.verdict) for check in checked.checks},
            "lately": lately[:LATELY],
        }
        self.messenger.event("ClusterHealthChanged", detail)

    def of_nodes(self, health: NodeHealth | None) -> None:
        """A notice, once, for each node whose faults call for more than a look."""
        for node in health.nodes if health else ():
            if health and node.action > Action.WATCH:
                found = announcements.node_at_fault(self.scope_id, health.cluster_id, node)
                self._tell(found, f"{self.scope_id}-{node.instance_id}", health.cluster_id)

    def of_blindness(self, reason: str | None, before: Mapping[str, Checked]) -> None:
        """A page when neither nodes nor metrics answer, for the second time in a row: once may be one lost answer."""
        if reason is not None and before and all(_saw_nothing(checked) for checked in before.values()):
            self._tell(announcements.blind(self.scope_id, reason), f"{self.scope_id}-blind", "")

    def _tell(self, announcement: Announcement, incident_id: str, cluster_id: str) -> None:
        tell(
            announcement,
            incident_id=incident_id,
            scope_id=self.scope_id,
            failed_cluster_id=cluster_id,
            incidents=self.incidents,
            messenger=self.messenger,
            switches=self.switches,
            now=self.now,
        )


def _saw_nothing(checked: Checked) -> bool:
    unknown = {check.name for check in checked.checks if check.verdict is Verdict.UNKNOWN}
    return {"gpu", "errors"} <= unknown
