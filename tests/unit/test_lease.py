"""Taking a lease against the ports: what docs/protocol.md says of one claim. Its laws are in test_protocol.py."""

from __future__ import annotations

import pytest

from standfast.errors import ConflictError, LeaseHeldError, UnknownScopeError
from standfast.lease import (
    TAKE_ROUNDS,
    Claim,
    HolderState,
    Lease,
    Purpose,
    for_step,
    released,
    state_of,
    step_holder,
    take,
)
from standfast.stores import ScopeRecord
from tests.builders import EXECUTION, NOW, SCOPE, lease, record
from tests.fakes import FakeExecutions, FakeScopeStore

OTHER = EXECUTION.replace(":one", ":two")
CLAIM = Claim(OTHER, Purpose.FAILOVER)


def test_a_free_lease_is_granted_under_the_next_token() -> None:
    store = FakeScopeStore(record())
    taken = take(SCOPE, CLAIM, store, FakeExecutions(OTHER), NOW)
    assert taken == Lease(4, OTHER, Purpose.FAILOVER, NOW)
    assert store.read(SCOPE).lease == taken


def test_a_lease_held_by_a_running_failover_is_refused_and_the_holder_is_named() -> None:
    store = FakeScopeStore(record(held=lease(3, EXECUTION)))
    with pytest.raises(LeaseHeldError, match=f"held by {EXECUTION}, which runs"):
        take(SCOPE, CLAIM, store, FakeExecutions(EXECUTION, OTHER), NOW)
    assert store.read(SCOPE).lease == lease(3, EXECUTION)


def test_a_failover_takes_the_lease_from_a_rollout_that_nobody_can_be_asked_about() -> None:
    store, executions = FakeScopeStore(record(held=lease(3, EXECUTION, Purpose.ROLLOUT))), FakeExecutions()
    executions.silent = True
    assert take(SCOPE, CLAIM, store, executions, NOW).token == 4


def test_a_claim_that_comes_second_decides_anew_on_what_it_finds() -> None:
    executions = FakeExecutions(EXECUTION, OTHER)

    class Raced(FakeScopeStore):
        def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
            if lease.holder == OTHER:
                super().grant(scope_id, seen=seen, lease=Lease(seen.token + 1, EXECUTION, Purpose.FAILOVER, NOW))
            super().grant(scope_id, seen=seen, lease=lease)

    with pytest.raises(LeaseHeldError, match="which runs"):
        take(SCOPE, CLAIM, Raced(record()), executions, NOW)


def test_a_claim_gives_up_when_others_keep_writing_first() -> None:
    rounds: list[str] = []

    class Busy(FakeScopeStore):
        def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
            rounds.append(scope_id)
            raise ConflictError("the lease changed hands")

    with pytest.raises(ConflictError, match=f"changed hands {TAKE_ROUNDS} times"):
        take(SCOPE, CLAIM, Busy(record()), FakeExecutions(OTHER), NOW)
    assert len(rounds) == TAKE_ROUNDS


def test_an_unknown_scope_has_no_lease() -> None:
    with pytest.raises(UnknownScopeError):
        take("eu-west-9", CLAIM, FakeScopeStore(), FakeExecutions(), NOW)


def test_a_released_lease_keeps_its_token() -> None:
    free: ScopeRecord = record(held=released(lease(5, EXECUTION)))
    assert (free.lease.token, free.lease.holder, free.lease.purpose) == (5, None, None)


@pytest.mark.parametrize(("now", "state"), [(99.0, HolderState.RUNNING), (100.0, HolderState.ENDED)])
def test_a_persons_step_is_over_when_it_said(now: float, state: HolderState) -> None:
    executions = FakeExecutions()
    executions.silent = True  # Step Functions is not asked: it knows nothing of it
    assert state_of(step_holder("readmit-cluster", "request-1", 100.0), executions, now) is state


def test_any_other_holder_is_asked_about() -> None:
    assert state_of("execution-1", FakeExecutions("execution-1"), 0.0) is HolderState.RUNNING


def test_a_step_lets_the_lease_go_and_changes_no_hold_down_also_when_it_fails() -> None:
    store = FakeScopeStore(record(attempts=2, not_before=NOW + 60))

    def fail() -> None:
        with for_step(SCOPE, CLAIM, store, FakeExecutions(), NOW) as token:
            assert store.read(SCOPE).lease == Lease(token, OTHER, Purpose.FAILOVER, NOW)
            raise ConflictError("the step fails")

    with pytest.raises(ConflictError, match="the step fails"):
        fail()
    left = store.read(SCOPE)
    assert (left.lease.token, left.lease.holder, left.attempts, left.not_before) == (4, None, 2, NOW + 60)


def test_a_step_that_lost_the_lease_leaves_it_to_whoever_has_it() -> None:
    store = FakeScopeStore(record())
    with for_step(SCOPE, Claim(OTHER, Purpose.SHED), store, FakeExecutions(), NOW):
        taken = take(SCOPE, Claim(EXECUTION, Purpose.FAILOVER), store, FakeExecutions(EXECUTION, OTHER), NOW)
    assert store.read(SCOPE).lease == taken
