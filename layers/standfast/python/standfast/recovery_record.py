"""What is kept of a cluster's recoveries: who has it in charge, what was tried within a day, and who was taken out.

One item a cluster, written as a whole: the version is the condition, so that of two writers one has to read again. It
holds no traffic and no roles: these are the scope's, under the scope's own lease.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from standfast import lease
from standfast.errors import FencedError, LeaseHeldError
from standfast.failover import hold_down_seconds
from standfast.lease import Claim, Lease, LeaseAction, Purpose, released
from standfast.recovery import DAY_SECONDS, Remedy

if TYPE_CHECKING:
    from collections.abc import Collection

    from standfast.lease import HolderState

MOST_WORDS = 1000
"""Characters that are kept of why a recovery failed: its own page has them all."""


@dataclass(frozen=True, slots=True)
class RecoveryRecord:
    """One cluster. `version` counts writes, 0 for a cluster that was never recovered.

    `attempts` counts recoveries that failed since the last good one, and `failure` says why the last of them did; none
    begins by itself before `not_before`.
    `down_since`: replicas were found down since, None while all pass.
    """

    cluster_id: str
    version: int = 0
    lease: Lease = field(default_factory=Lease)
    remedies: tuple[Remedy, ...] = ()
    taken_out: frozenset[str] = frozenset()
    attempts: int = 0
    not_before: float = 0.0
    down_since: float | None = None
    failure: str = ""

    def taken_by(self, execution_arn: str, state: HolderState, now: float) -> RecoveryRecord:
        """In charge of an execution. Raises LeaseHeldError while another one is at work: one recovery a cluster."""
        decision = lease.decide(self.lease, Claim(execution_arn, Purpose.RECOVERY), state, now)
        if decision.action is LeaseAction.REFUSE:
            raise LeaseHeldError(f"{self.cluster_id} is in hand already: {decision.reason}")
        return replace(self, lease=decision.lease)

    def check_in_charge(self, execution_arn: str) -> None:
        """Raises FencedError when another execution was given the cluster."""
        if self.lease.holder != execution_arn:
            raise FencedError(f"{self.cluster_id} is in hand of {self.lease.holder or 'nobody'} by now")

    def with_remedies(self, new: Collection[Remedy], now: float) -> RecoveryRecord:
        """With remedies that are about to be applied; one that is there already is the same one. Old ones go."""
        known = {remedy.remedy_id for remedy in self.remedies}
        kept = (remedy for remedy in self.remedies if now - remedy.at < DAY_SECONDS)
        return replace(self, remedies=(*kept, *(remedy for remedy in new if remedy.remedy_id not in known)))

    def with_out(self, instance_ids: Collection[str], members: Collection[str]) -> RecoveryRecord:
        """With nodes that are about to be taken out of traffic. Instances that are gone are forgotten."""
        return replace(self, taken_out=(self.taken_out | set(instance_ids)) & set(members))

    def without_out(self, instance_ids: Collection[str]) -> RecoveryRecord:
        """With nodes that are back in traffic."""
        return replace(self, taken_out=self.taken_out - set(instance_ids))

    def succeeded(self, not_before: float = 0.0) -> RecoveryRecord:
        """Let go after a recovery that did what it could."""
        return replace(self, lease=released(self.lease), attempts=0, not_before=not_before, failure="")

    def failed(self, first_hold_down: float, now: float, why: str = "") -> RecoveryRecord:
        """Let go after one that failed, and why: the next begins by itself after a wait that doubles."""
        attempts = self.attempts + 1
        retry_at = now + hold_down_seconds(attempts, first_hold_down)
        return replace(
            self, lease=released(self.lease), attempts=attempts, not_before=retry_at, failure=why[:MOST_WORDS]
        )
