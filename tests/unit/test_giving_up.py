"""What a failover that did not succeed leaves in order."""

from __future__ import annotations

import pytest

from standfast import giving_up
from standfast.fleet import Role
from standfast.steps import GiveUpStep
from standfast.stores import ScopeRecord
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY
from tests.fakes import FakeClusterTable, FakeScopeStore

TOKEN = 4
MOVED = {ACTIVE: 0, STANDBY: 100}


def step(**changes: object) -> GiveUpStep:
    """An execution that held the lease under token 4 and gave up."""
    return GiveUpStep.model_validate(
        {
            "mode": "failover",
            "scope_id": SCOPE,
            "execution_arn": EXECUTION,
            "incident_id": "us-east-1-use1-a-v7",
            "failed_cluster_id": ACTIVE,
            "reason": "use1-a is dead",
            "failed_since": NOW - 2,
            "detected_at": NOW,
            "trigger": "watch",
            "token": TOKEN,
            "may_change": True,
            "held_back": "",
            "error": {"Error": "UnavailableError", "Cause": "no answer"},
            **changes,
        }
    )


def proven(**changes: object) -> GiveUpStep:
    """It gave up after the move was proven."""
    selection = {"cluster_id": STANDBY, "reason": "proven", "overload": "", "tried": [STANDBY]}
    return step(selection=selection, serving={"reason": "served"}, **changes)


def scopes(*, token: int = TOKEN, holder: str | None = EXECUTION, attempts: int = 0) -> FakeScopeStore:
    held = builders.lease(token, holder)
    return FakeScopeStore(builders.record(builders.desired(MOVED, token=TOKEN), held, attempts=attempts))


def give_back(given_up: GiveUpStep, store: FakeScopeStore) -> tuple[float | None, ScopeRecord]:
    retry_at = giving_up.give_back(given_up, store, FakeClusterTable(builders.view()), NOW)
    return retry_at, store.read(SCOPE)


def test_a_move_that_was_proven_is_recorded_although_the_failover_gave_up() -> None:
    store = scopes()
    giving_up.record_roles(proven(), store, NOW)
    assert store.read(SCOPE).desired.roles == {ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE}


@pytest.mark.parametrize("given_up", [step(), step(serving={"reason": "served"})], ids=["not proven", "not selected"])
def test_a_move_that_was_not_proven_is_not_recorded(given_up: GiveUpStep) -> None:
    store = scopes()
    giving_up.record_roles(given_up, store, NOW)
    assert store.read(SCOPE).desired.roles == {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}


def test_a_record_that_is_refused_keeps_nobody_from_being_told(caplog: pytest.LogCaptureFixture) -> None:
    giving_up.record_roles(proven(), scopes(token=TOKEN + 1), NOW)
    assert f"the roles after the move to {STANDBY} could not be recorded" in caplog.text


def test_the_lease_is_given_back_with_a_hold_down_that_grows() -> None:
    first, record = give_back(step(), scopes())
    assert (record.lease.holder, record.attempts, record.not_before) == (None, 1, first)
    second, _ = give_back(step(), scopes(attempts=1))
    assert first is not None
    assert second is not None
    assert NOW < first < second


def test_giving_back_twice_counts_one_attempt() -> None:
    store = scopes()
    once = give_back(step(), store)
    assert give_back(step(), store) == once


def test_a_planned_move_that_did_not_succeed_delays_no_failover() -> None:
    retry_at, record = give_back(step(planned=True), scopes())
    assert (record.lease.holder, record.attempts, retry_at) == (None, 0, 0.0)


def test_a_lease_that_somebody_else_holds_is_left_to_him() -> None:
    store = scopes(token=TOKEN + 1, holder="another")
    retry_at, record = give_back(step(), store)
    assert retry_at is None
    assert record.lease.holder == "another"
