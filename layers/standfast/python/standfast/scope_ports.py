"""What looks after a scope between failovers works with: its ports, and a word to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.telling import tell

if TYPE_CHECKING:
    from standfast.announcements import Announcement
    from standfast.ports import Executions, LoadBalancer, Messenger
    from standfast.stores import IncidentStore, ScopeStore, SwitchStore, ViewStore


@dataclass(frozen=True, slots=True)
class ScopePorts:
    """One scope with its ports."""

    scope_id: str
    views: ViewStore
    switches: SwitchStore
    scopes: ScopeStore
    incidents: IncidentStore
    balancer: LoadBalancer
    executions: Executions
    messenger: Messenger

    def tell(self, announcement: Announcement, subject: str, now: float, *, cluster_id: str = "") -> None:
        """Tell it once for this scope and subject. `cluster_id`: which cluster it is about, if one."""
        tell(
            announcement,
            incident_id=f"{self.scope_id}-{subject}",
            scope_id=self.scope_id,
            failed_cluster_id=cluster_id,
            incidents=self.incidents,
            messenger=self.messenger,
            switches=self.switches,
            now=now,
        )
