"""Putting back what was before a restore that did not succeed: by its own execution, or by whoever finds it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import config_adoption, lease, restore_making, restoring, traffic
from standfast.errors import CorruptStateError, LeaseHeldError, UnknownScopeError
from standfast.lease import Claim, Purpose
from standfast.restoring import TrafficAction

if TYPE_CHECKING:
    from standfast.backup_ports import RestoreLog, StateTables, Undo
    from standfast.config_adoption import ConfigPointer, SyncedStore
    from standfast.model_states import ModelStates
    from standfast.ports import Executions, LoadBalancer
    from standfast.restore_making import Scopes
    from standfast.stores import ScopeRecord, SwitchStore, View


@dataclass(frozen=True, slots=True)
class Undoer:
    """One Region with its ports. Every method may be repeated."""

    region: str
    log: RestoreLog
    tables: StateTables
    table: SyncedStore
    pointer: ConfigPointer
    models: ModelStates
    scopes: Scopes
    switches: SwitchStore
    balancer: LoadBalancer
    executions: Executions

    def put_back(self, undo: Undo, claimant: str, now: float) -> list[str]:
        """Everything as it was, as far as it may be; answers what became of it, a sentence each.

        `claimant` takes the lease. Who was granted it meanwhile keeps it, and traffic and roles are theirs.
        """
        before = self.tables.understood(undo.items)
        said = restore_making.put_back_records(before, undo, self.table, self.models)
        if self.table.standing().synced is not None:
            config_adoption.point(self.table, self.pointer)
        said.append(self._put_back_scope(before.scope, claimant, now))
        restore_making.thaw(self.region, undo, self.switches, "a restore was put back", now)
        self.log.drop_undo(undo.execution_arn)
        return said

    def _put_back_scope(self, before: ScopeRecord | None, claimant: str, now: float) -> str:
        try:
            token = lease.take(self.region, Claim(claimant, Purpose.RESTORE), self.scopes, self.executions, now).token
        except (LeaseHeldError, UnknownScopeError) as error:
            return f"roles and weights are left alone: {error}"
        try:
            return self._traffic(before, token, now)
        finally:
            restore_making.release(self.region, token, self.scopes)

    def _traffic(self, before: ScopeRecord | None, token: int, now: float) -> str:
        if before is None:
            return "roles and weights stay as restored: what was before could not be understood, or was not there"
        view = self._view()
        if view is None:
            return "roles and weights stay as they are: nothing can be judged without a configuration"
        config = view.applied.config
        decision = restoring.decide_put_back(
            before.desired, view.scope.desired, view.assessments, config.detection.fresh_seconds, now
        )
        restore_making.write_traffic(self.region, decision, token, "a restore is put back", self.scopes, now)
        if decision.action is TrafficAction.MOVE:
            traffic.apply_desired(self.region, config.region(self.region).bound_entry(), self.scopes, self.balancer)
        return f"traffic: {decision.reason}"

    def _view(self) -> View | None:
        try:
            return self.scopes.view()
        except (CorruptStateError, UnknownScopeError):
            return None
