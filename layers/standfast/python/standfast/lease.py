"""The lease of one scope: who may change its traffic and roles, and the token that fences everybody else.

The invariants stand in docs/protocol.md. `decide` is pure; `take` and `for_step` run it against the ports.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.errors import ConflictError, FencedError, LeaseHeldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standfast.ports import Executions
    from standfast.stores import ScopeStore

_UNTIL = "/until/"
TAKE_ROUNDS = 5
"""How often `take` reads anew when somebody else wrote between its read and its write."""


class Purpose(StrEnum):
    """What a lease is held for."""

    SHED = "shed"
    RECOVERY = "recovery"
    ROLLOUT = "rollout"
    RESTORE = "restore"
    FAILOVER = "failover"


_RANK = {Purpose.SHED: 0, Purpose.RECOVERY: 1, Purpose.ROLLOUT: 1, Purpose.RESTORE: 1, Purpose.FAILOVER: 2}


class HolderState(StrEnum):
    """What Step Functions says of the execution that holds a lease."""

    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


class LeaseAction(StrEnum):
    """What a claim on a lease comes to."""

    GRANT = "grant"
    ALREADY_HELD = "already held"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of one scope.

    `token` grows by one with every grant and is never reset, so that a write which carries an older one is known as
    stale. `holder` is an execution ARN, or None when the lease is free. `acquired_at` is in seconds since the epoch.
    """

    token: int = 0
    holder: str | None = None
    purpose: Purpose | None = None
    acquired_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asks for the lease (an execution ARN) and what for."""

    holder: str
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class LeaseDecision:
    """What a claim comes to. `lease` is what the record holds once the decision is written."""

    action: LeaseAction
    reason: str
    lease: Lease


def outranks(claim: Purpose, held: Purpose | None) -> bool:
    """Whether a claim may take the lease from a holder that still runs: a failover from a rollout, never back.

    It takes it from a step of a recovery too; and everybody from a step of shedding, which may come again.
    """
    return held is not None and _RANK[claim] > _RANK[held]


def decide(lease: Lease, claim: Claim, holder_state: HolderState, now: float) -> LeaseDecision:
    """Grant, confirm or refuse a claim.

    `holder_state` is that of the present holder; it is not looked at when the lease is free or the claimant's own.
    Unknown is not ended: a holder that Step Functions cannot be asked about keeps its lease, unless outranked.
    """
    granted = Lease(token=lease.token + 1, holder=claim.holder, purpose=claim.purpose, acquired_at=now)
    if lease.holder == claim.holder:
        return LeaseDecision(LeaseAction.ALREADY_HELD, f"the lease is already ours, token {lease.token}", lease)
    if lease.holder is None:
        return LeaseDecision(LeaseAction.GRANT, f"the lease was free; token {granted.token}", granted)
    if holder_state is HolderState.ENDED:
        reason = f"{lease.holder} ended without releasing the lease; token {granted.token} fences it"
        return LeaseDecision(LeaseAction.GRANT, reason, granted)
    if outranks(claim.purpose, lease.purpose):
        reason = f"a {claim.purpose} outranks the {lease.purpose} of {lease.holder}; token {granted.token} fences it"
        return LeaseDecision(LeaseAction.GRANT, reason, granted)
    state = "runs" if holder_state is HolderState.RUNNING else "cannot be asked about, and unknown is not ended"
    return LeaseDecision(LeaseAction.REFUSE, f"the lease is held by {lease.holder}, which {state}", lease)


def step_holder(name: str, request_id: str, until: float) -> str:
    """The holder of a change that is made in one step: no execution, so it names when it is over at the latest.

    `until` is in seconds since the epoch: no later than the time-out of the function that makes the change.
    """
    return f"{name}/{request_id}{_UNTIL}{until:.0f}"


def state_of(holder: str, executions: Executions, now: float) -> HolderState:
    """Whether a holder is at work: by its own word when it is one step, else by Step Functions."""
    _, found, until = holder.rpartition(_UNTIL)
    if found:
        return HolderState.RUNNING if now < float(until) else HolderState.ENDED
    return executions.holder_state(holder)


def take(scope_id: str, claim: Claim, store: ScopeStore, executions: Executions, now: float) -> Lease:
    """Take the lease of a scope, or confirm that the claimant has it. May be repeated: the token stays the same.

    Raises LeaseHeldError when somebody else holds it rightly, ConflictError when others keep writing first.
    """
    for _ in range(TAKE_ROUNDS):
        lease = store.read(scope_id).lease
        asks = lease.holder not in (None, claim.holder)
        state = state_of(str(lease.holder), executions, now) if asks else HolderState.UNKNOWN
        decision = decide(lease, claim, state, now)
        if decision.action is LeaseAction.REFUSE:
            raise LeaseHeldError(decision.reason)
        if decision.action is LeaseAction.ALREADY_HELD:
            return lease
        try:
            store.grant(scope_id, seen=lease, lease=decision.lease)
        except ConflictError:
            continue
        return decision.lease
    raise ConflictError(f"the lease of {scope_id} changed hands {TAKE_ROUNDS} times while it was being taken")


@contextmanager
def for_step(scope_id: str, claim: Claim, store: ScopeStore, executions: Executions, now: float) -> Iterator[int]:
    """The lease for one step, by its token, and let go at its end: attempts and hold-down stay as they are.

    Raises what `take` raises. A failover that was granted the lease meanwhile keeps it.
    """
    held = take(scope_id, claim, store, executions, now)
    try:
        yield held.token
    finally:
        stands = store.read(scope_id)
        with suppress(FencedError):
            store.release(scope_id, token=held.token, attempts=stands.attempts, not_before=stands.not_before)


def released(lease: Lease) -> Lease:
    """The lease once its holder let go: free, with the token kept."""
    return replace(lease, holder=None, purpose=None)
