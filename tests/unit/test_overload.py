"""The overload guard: a step under the lease, told once, and nothing behind anybody's back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.fleet import SHED, Automation, Role
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.overload import STEP_SECONDS, OverloadGuard
from standfast.reconcile import Reconciler
from standfast.rule_weights import LOW_SHED, by_rule, on_rules, with_share
from standfast.stores import ScopeRecord
from standfast.traffic import all_to, shares
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY, target_group_arn
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeLoadBalancer,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
)

MOVED = builders.desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})


def document(*, sheds: bool = True, low_priority: bool = False) -> dict[str, Any]:
    found = builders.document()
    if low_priority:
        found["regions"][SCOPE]["entry"]["low_priority_rule_arn"] = builders.LOW_PRIORITY_RULE_ARN
        found["shedding"] = {"low_priority": {"header": "x-priority", "values": ["low"]}}
    if sheds:
        found["regions"][SCOPE]["entry"]["shed_target_group_arn"] = target_group_arn("shed")
    return found


class Place:
    """A guard with its stand-ins: the standby took over and is saturated."""

    def __init__(
        self,
        automation: Automation = Automation.RUN,
        *,
        sheds: bool = True,
        low_priority: bool = False,
        record: ScopeRecord | None = None,
        saturated: int = 1,
    ) -> None:
        self.config = builders.fleet(**document(sheds=sheds, low_priority=low_priority))
        self.scopes = FakeScopeStore(record or builders.record(MOVED))
        entry = self.config.region(SCOPE).bound_entry()
        self.balancer = FakeLoadBalancer(on_rules(self.scopes.read(SCOPE).desired.weights, entry))
        self.table = FakeClusterTable(builders.view())
        self.executions = FakeExecutions()
        self.messenger = FakeMessenger()
        self.saturated = saturated
        self.switches = FakeRegionTable(builders.switch(automation))
        ports = (self.table, self.switches, self.scopes, self.table, self.balancer, self.executions, self.messenger)
        self.guard = OverloadGuard(SCOPE, *ports, request_id="request-1")
        self.reconciler = Reconciler(SCOPE, *ports)

    def look(self, now: float = NOW) -> str:
        found = builders.assessment(STANDBY, Verdict.DEGRADED, assessed_at=now)
        found = replace(found, saturated=self.saturated, expected=2)
        scope = self.scopes.read(SCOPE)
        self.table.known = builders.view(scope, config=self.config, assessments={STANDBY: found})
        return self.guard.look(now)

    @property
    def record(self) -> ScopeRecord:
        return self.scopes.read(SCOPE)


def test_overload_is_shed_under_a_lease_of_its_own_which_is_given_back() -> None:
    place = Place()
    said = place.look()
    assert said == f"{STANDBY} is saturated: 1 of 2 replicas answer too late: 0 % was shed, 20 % is now"
    assert place.balancer.weights == place.record.desired.weights == {ACTIVE: 0, STANDBY: 100, SHED: 25}
    assert (place.record.desired.version, place.record.desired.token) == (8, 4)
    assert (place.record.lease.token, place.record.lease.holder) == (4, None)
    assert place.messenger.notices[0][0] == f"{SCOPE}: {STANDBY} is saturated, overload is shed"
    assert not place.messenger.pages


def test_a_later_look_sheds_more_and_says_no_more() -> None:
    place = Place()
    for seconds in (0, 5, 10, 15, 20):
        place.look(NOW + seconds)
    assert place.record.desired.weights[SHED] == 150  # 60 %
    assert len(place.messenger.notices) == 1


def test_what_is_of_low_priority_is_shed_first_by_its_own_rule() -> None:
    place = Place(low_priority=True)
    place.look(NOW)
    assert place.record.desired.weights == {ACTIVE: 0, STANDBY: 100, SHED: 0, LOW_SHED: 50}
    rest, of_low_priority = by_rule(shares(place.balancer.weights))
    assert (rest, of_low_priority) == ({STANDBY: 100}, {STANDBY: 100, SHED: 100})
    place.look(NOW + 10)
    assert by_rule(shares(place.balancer.weights)) == ({STANDBY: 100}, {SHED: 100})
    assert place.look(NOW + 20).endswith(
        "100 % of low priority and 0 % of the rest was shed, 100 % of low priority and 20 % of the rest is now"
    )
    assert by_rule(shares(place.balancer.weights)) == ({STANDBY: 100, SHED: 25}, {SHED: 100})
    subjects = [subject for subject, _ in place.messenger.notices]
    busy = f"{SCOPE}: {STANDBY} is saturated, overload"
    assert subjects == [f"{busy} of low priority is shed", f"{busy} is shed"]


def test_low_priority_that_a_failover_left_out_is_let_back_in_once_there_is_room() -> None:
    left_out = replace(MOVED, weights={**MOVED.weights, LOW_SHED: 100}, updated_at=NOW)
    place = Place(low_priority=True, record=builders.record(left_out), saturated=0)
    for seconds in range(0, 125, 5):
        place.look(NOW + seconds)
    assert by_rule(shares(place.balancer.weights)) == ({STANDBY: 100}, {STANDBY: 100})
    assert [subject for subject, _ in place.messenger.notices] == [f"{SCOPE}: overload is no longer shed"]


def test_when_it_is_over_everything_is_served_again_and_that_is_told() -> None:
    place = Place()
    place.look(NOW)
    place.saturated = 0
    place.look(NOW + 60)
    assert shares(place.balancer.weights) == {STANDBY: 100}
    assert [subject for subject, _ in place.messenger.notices][1] == f"{SCOPE}: overload is no longer shed"


def test_somebody_is_woken_once_when_the_maximum_does_not_help_for_minutes() -> None:
    place = Place(record=builders.record(replace(MOVED, weights=with_share(MOVED.weights, 80), updated_at=NOW)))
    for seconds in range(0, 400, 5):
        place.look(NOW + seconds)
    assert [subject for subject, _ in place.messenger.pages] == [
        f"{SCOPE}: {STANDBY} is saturated although 80 % is shed"
    ]
    assert place.record.desired.version == MOVED.version


@pytest.mark.parametrize(
    ("automation", "sheds", "why"),
    [
        (Automation.OBSERVE, True, "the switch says observe"),
        (Automation.RUN, False, "FleetConfig names no shed_target_group_arn"),
        (Automation.OBSERVE, False, "FleetConfig names no shed_target_group_arn"),
    ],
)
def test_what_is_not_shed_is_said_once_an_hour(automation: Automation, sheds: bool, why: str) -> None:
    place = Place(automation, sheds=sheds)
    for seconds in (0, 5, 10):
        assert place.look(NOW + seconds).endswith("nothing is changed")
    assert len(place.messenger.notices) == 1
    assert why in place.messenger.notices[0][1]
    place.look(NOW + 3600)
    assert len(place.messenger.notices) == 2
    assert place.record.desired == MOVED
    assert not place.balancer.writes


def test_with_the_switch_off_nothing_is_done_and_nothing_said() -> None:
    place = Place(Automation.OFF)
    place.look()
    assert not place.messenger.notices
    assert not place.balancer.writes
    assert place.record.lease.token == 3


def test_a_rule_that_somebody_edited_is_left_alone() -> None:
    place = Place()
    place.balancer.weights = {ACTIVE: 0, STANDBY: 90, SHED: 10}
    assert place.look().endswith("the rule is not as desired, which comes first")
    assert not place.balancer.writes


def test_a_failover_that_begins_between_look_and_step_is_first() -> None:
    place = Place()

    class Late(FakeLoadBalancer):
        def read_weights(self, entry: Any) -> Any:
            place.scopes.grant(SCOPE, seen=builders.lease(3), lease=builders.lease(4, EXECUTION))
            return super().read_weights(entry)

    place.executions.running.add(EXECUTION)
    place.guard = replace(place.guard, balancer=Late(MOVED.weights))
    assert "somebody else was first: the lease is held by" in place.look()
    assert place.record.lease.holder == EXECUTION
    assert place.record.desired == MOVED


def test_a_failover_takes_the_lease_from_a_step_and_the_step_changes_nothing_more() -> None:
    place = Place()
    original = place.scopes.write_desired

    def overtaken(scope_id: str, **given: Any) -> None:
        place.scopes.grant(SCOPE, seen=place.record.lease, lease=builders.lease(5, EXECUTION))
        original(scope_id, **given)

    place.scopes.write_desired = overtaken  # type: ignore[method-assign]  # the moment between grant and write
    assert "somebody else was first: token 4 is stale" in place.look()
    assert (place.record.desired, place.record.lease.holder) == (MOVED, EXECUTION)


def test_a_failover_starts_without_shedding() -> None:
    place = Place()
    place.look()
    moved = all_to(ACTIVE, [ACTIVE, STANDBY])
    assert shares(place.record.desired.next(token=9, reason="moved", now=NOW, weights=moved).weights) == {ACTIVE: 100}


def test_a_step_that_broke_off_costs_no_failover_its_turn() -> None:
    """Its lease ends by its own word; it is no failed failover, so nothing is held down and nobody is woken."""
    held = builders.lease(4, f"shed-overload/request-0/until/{NOW:.0f}", Purpose.SHED)
    place = Place(record=builders.record(MOVED, held))
    place.table.known = builders.view(place.record)
    assert "is at work" in place.reconciler.recover(NOW - 1)
    assert place.reconciler.recover(NOW).endswith("ended within its step and held the lease; released")
    assert (place.record.attempts, place.record.not_before, place.record.lease.holder) == (0, 0.0, None)
    assert not place.messenger.pages


def test_a_step_holds_the_lease_for_seconds_only() -> None:
    place = Place()
    held: list[str | None] = []
    original = place.scopes.write_desired

    def seen(scope_id: str, **given: Any) -> None:
        held.append(place.record.lease.holder)
        original(scope_id, **given)

    place.scopes.write_desired = seen  # type: ignore[method-assign]  # a look at the lease in mid-step
    place.look()
    assert held == [f"shed-overload/request-1/until/{NOW + STEP_SECONDS:.0f}"]
