"""Every minute: is a node of any cluster sick, or a quarantined cluster in nobody's hand? Then a recovery begins.

Then: has the Region a standby, and if not, who rebuilds one? Started too by EventBridge when an execution of
`cluster_recovery` ended badly: somebody is told, and what it left is taken over by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_telling, recovery_announcements, recovery_start
from standfast.ended_execution import ended_in
from standfast.errors import ConflictError
from standfast.incident_keeping import IncidentKeeper
from standfast.lease import HolderState
from standfast.redundancy_keeping import RedundancyKeeper

if TYPE_CHECKING:
    from standfast.ended_execution import EndedExecution
    from standfast.stores import View

TOLD = frozenset({"RecoveryRefused", "RecoveryDidNotSucceed"})
"""The errors of the machine's own Fail states: whoever comes there was told, or started it by hand and sees it."""


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what was found and begun, by cluster id, and how the Region's redundancy stands."""
    found = {}
    if ended := ended_in(event):
        found["told"] = _tell(ended)
    view = bootstrap.cluster_table().view()
    for cluster_id in sorted(view.applied.config.region(view.scope.scope_id).clusters):
        found[cluster_id] = _look(view, cluster_id)
    found["redundancy"] = _redundancy().look(found, bootstrap.clock().now())
    return found


def _look(view: View, cluster_id: str) -> str:
    table, recoveries, now = bootstrap.recovery_table(), bootstrap.recoveries(), bootstrap.clock().now()
    record = table.read_recovery(cluster_id)
    holder = record.lease.holder
    state = recoveries.holder_state(holder) if holder else HolderState.ENDED
    noted = recovery_start.noted(view, record, now)
    if noted is not record and state is HolderState.ENDED:
        try:
            table.write_recovery(noted)
        except ConflictError as error:
            return str(error)  # it was begun at this very moment
        record = table.read_recovery(cluster_id)
    due = recovery_start.decide_begin(view, record, state, bootstrap.region_table().glance_at_brake(), now)
    if not due.begin:
        return due.reason
    scope_id = view.scope.scope_id
    payload = {"scope_id": scope_id, "cluster_id": cluster_id, "reason": due.reason, "trigger": "schedule"}
    started = recoveries.start_recovery(due.name, payload)
    return f"{due.reason}; {'begun: ' + started if started else due.name + ' was begun before'}"


def _redundancy() -> RedundancyKeeper:
    table, log = bootstrap.cluster_table(), bootstrap.incident_log()
    keeper = IncidentKeeper(bootstrap.settings().region, table, log, bootstrap.messenger(), bootstrap.metrics())
    records, recoveries, scaling = bootstrap.recovery_table(), bootstrap.recoveries(), bootstrap.scaling()
    return RedundancyKeeper(keeper, records, recoveries, scaling, switches=bootstrap.region_table(), told=table)


def _tell(ended: EndedExecution) -> str:
    if ended.error in TOLD:
        return f"{ended.execution_arn} told what happened itself"
    scope_id = bootstrap.settings().region
    bootstrap_telling.tell(
        recovery_announcements.ended_half_way(scope_id, ended.execution_arn, ended.status),
        incident_id=f"{scope_id}-{ended.execution_arn.rsplit(':', 1)[-1]}",
        scope_id=scope_id,
        now=bootstrap.clock().now(),
    )
    return f"told of {ended.execution_arn}"
