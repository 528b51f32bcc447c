"""The reconciler: what is a stale write, what is somebody's own, and whose lease outlived its holder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from standfast.errors import UnavailableError
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.lease import Purpose, released
from standfast.reconcile import Reconciler
from standfast.steps import ExecutionInput
from standfast.stores import ScopeRecord
from standfast.traffic import Move
from tests import builders
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeLoadBalancer,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
)

MOVED = builders.desired(
    {ACTIVE: 0, STANDBY: 100},
    {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE},
    superseded=({ACTIVE: 100, STANDBY: 0}, {ACTIVE: 70, STANDBY: 30}),
)


class Place:
    """A reconciler with its stand-ins."""

    def __init__(
        self, record: ScopeRecord, actual: dict[str, int], automation: Automation = Automation.RUN, *running: str
    ) -> None:
        self.table = FakeClusterTable(builders.view(record))
        self.scopes = FakeScopeStore(record)
        self.balancer = FakeLoadBalancer(actual)
        self.executions = FakeExecutions(*running)
        self.messenger = FakeMessenger()
        self.reconciler = Reconciler(
            SCOPE,
            self.table,
            FakeRegionTable(builders.switch(automation)),
            self.scopes,
            self.table,
            self.balancer,
            self.executions,
            self.messenger,
        )


def test_weights_as_wanted_are_left_alone_and_nobody_is_told() -> None:
    place = Place(builders.record(), {ACTIVE: 100, STANDBY: 0})
    assert place.reconciler.verify(NOW) == "the weights are as version 7 wants them"
    assert not place.balancer.writes
    assert not place.messenger.notices


def test_a_stale_write_is_put_back_and_told_by_day() -> None:
    place = Place(builders.record(MOVED), {ACTIVE: 70, STANDBY: 30})
    place.scopes.records[SCOPE] = builders.record(replace(MOVED, roles={ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}))
    said = place.reconciler.verify(NOW)
    assert "a stale write put back the weights of an earlier version" in said
    assert place.balancer.weights == {ACTIVE: 0, STANDBY: 100}
    assert place.messenger.notices[0][0] == f"{SCOPE}: the weights were repaired"
    assert not place.messenger.pages


def test_what_was_changed_a_moment_ago_is_copied_and_called_no_repair() -> None:
    """ShiftTraffic has written the desired weights and is about to write the rule."""
    just_now = replace(MOVED, roles={ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}, updated_at=NOW - 0.3)
    place = Place(builders.record(just_now), {ACTIVE: 70, STANDBY: 30})
    assert "they were just changed" in place.reconciler.verify(NOW)
    assert place.balancer.weights == {ACTIVE: 0, STANDBY: 100}
    assert not place.messenger.notices


def test_traffic_to_a_quarantined_cluster_is_taken_away() -> None:
    place = Place(builders.record(MOVED), {ACTIVE: 1, STANDBY: 99})
    assert f"traffic goes to {ACTIVE}, which is quarantined" in place.reconciler.verify(NOW)
    assert place.balancer.weights == {ACTIVE: 0, STANDBY: 100}


def test_a_rule_that_serves_nobody_is_mended() -> None:
    place = Place(builders.record(), {ACTIVE: 0, STANDBY: 0})
    assert "every weight is zero, so nobody is served" in place.reconciler.verify(NOW)
    assert place.balancer.weights == {ACTIVE: 100, STANDBY: 0}


def test_a_hand_edit_is_left_alone_and_told_once() -> None:
    place = Place(builders.record(), {ACTIVE: 60, STANDBY: 40})
    for _ in range(3):
        assert "somebody edited the weights by hand; left as they are" in place.reconciler.verify(NOW)
    assert not place.balancer.writes
    assert [subject for subject, _ in place.messenger.notices] == [f"{SCOPE}: the weights were edited by hand"]


@pytest.mark.parametrize("automation", [Automation.OBSERVE, Automation.OFF])
def test_without_leave_to_run_nothing_is_repaired(automation: Automation) -> None:
    place = Place(builders.record(MOVED), {ACTIVE: 100, STANDBY: 0}, automation)
    place.reconciler.verify(NOW)
    assert not place.balancer.writes
    assert place.messenger.notices[0][1].endswith("Nothing was changed.")


def test_a_free_lease_is_left_alone() -> None:
    place = Place(builders.record(), {ACTIVE: 100})
    assert place.reconciler.recover(NOW) == "the lease is free"


def test_a_holder_at_work_keeps_its_lease() -> None:
    place = Place(builders.record(held=builders.lease(4, EXECUTION)), {ACTIVE: 100}, Automation.RUN, EXECUTION)
    assert "holds the lease and is at work" in place.reconciler.recover(NOW)
    assert place.scopes.read(SCOPE).lease.holder == EXECUTION


def test_a_holder_that_cannot_be_asked_about_keeps_its_lease() -> None:
    place = Place(builders.record(held=builders.lease(4, EXECUTION)), {ACTIVE: 100})
    place.executions.silent = True
    place.reconciler.recover(NOW)
    assert place.scopes.read(SCOPE).lease.holder == EXECUTION


def test_the_lease_of_an_execution_that_ended_is_released_with_a_hold_down_and_a_page() -> None:
    place = Place(builders.record(held=builders.lease(4, EXECUTION), attempts=1), {ACTIVE: 100})
    assert place.reconciler.recover(NOW) == f"{EXECUTION} ended and held the lease; released"
    record = place.scopes.read(SCOPE)
    assert record.lease == released(builders.lease(4, EXECUTION))
    assert (record.attempts, record.not_before) == (2, NOW + 120)
    assert "a failover ended half-way" in place.messenger.pages[0][0]


def test_somebody_who_was_granted_the_lease_meanwhile_keeps_it() -> None:
    place = Place(builders.record(held=builders.lease(4, EXECUTION)), {ACTIVE: 100})
    place.scopes.records[SCOPE] = builders.record(held=builders.lease(5, "another"))
    assert place.reconciler.recover(NOW) == "somebody else was granted the lease meanwhile"
    assert place.scopes.read(SCOPE).lease.holder == "another"
    assert not place.messenger.pages


def test_an_execution_that_was_stopped_is_told_once_however_often_it_is_handed_over() -> None:
    place = Place(builders.record(held=builders.lease(4, EXECUTION)), {ACTIVE: 100})
    place.reconciler.ended(EXECUTION, "ABORTED", "", NOW)
    place.table.known = builders.view(place.scopes.read(SCOPE))
    place.reconciler.ended(EXECUTION, "ABORTED", "", NOW + 1)
    assert len(place.messenger.pages) == 1
    assert place.scopes.read(SCOPE).attempts == 1


@pytest.mark.parametrize("error", ["FailoverRefused", "FailoverDidNotSucceed"])
def test_an_execution_that_told_what_happened_is_not_told_again(error: str) -> None:
    place = Place(builders.record(), {ACTIVE: 100})
    assert "told what happened itself" in place.reconciler.ended(EXECUTION, "FAILED", error, NOW)
    assert not place.messenger.pages


def test_a_move_for_a_planned_event_that_was_refused_is_told_for_nobody_stood_at_the_console() -> None:
    place, arn = Place(builders.record(), {ACTIVE: 100}), f"{EXECUTION.rpartition(':')[0]}:{SCOPE}-planned-0123"
    place.reconciler.ended(arn, "FAILED", "FailoverRefused", NOW)
    assert arn in place.messenger.pages[0][1]
    assert "told what happened itself" in place.reconciler.ended(arn, "FAILED", "MoveDidNotSucceed", NOW)


@pytest.mark.parametrize("error", ["NobodyWasTold", "FailoverNotStarted", "KeyError"])
def test_an_execution_that_told_nobody_is_told(error: str) -> None:
    place = Place(builders.record(), {ACTIVE: 100})
    place.reconciler.ended(EXECUTION, "FAILED", error, NOW)
    assert EXECUTION in place.messenger.pages[0][1]


def test_a_page_that_could_not_be_sent_is_sent_the_next_time() -> None:
    place = Place(builders.record(), {ACTIVE: 100})
    place.messenger.faults.fail("page", UnavailableError("SNS does not answer"), times=1)
    with pytest.raises(UnavailableError):
        place.reconciler.ended(EXECUTION, "TIMED_OUT", "", NOW)
    place.reconciler.ended(EXECUTION, "TIMED_OUT", "", NOW)
    assert len(place.messenger.pages) == 1


# A failover that ended between the weights and the roles


UNRECORDED = builders.desired({ACTIVE: 0, STANDBY: 100})


def left_behind(
    verdict: Verdict = Verdict.HEALTHY, *, age: float = 3.0, automation: Automation = Automation.RUN
) -> Place:
    place = Place(builders.record(UNRECORDED), {ACTIVE: 0, STANDBY: 100}, automation)
    found = builders.assessment(STANDBY, verdict, "as the watch has it", assessed_at=NOW - age)
    place.table.known = replace(place.table.known, assessments={STANDBY: found})
    return place


def test_a_move_that_is_proven_and_was_not_recorded_is_recorded_and_told_by_day() -> None:
    place = left_behind()
    assert place.reconciler.settle(NOW).endswith("; recorded")
    record = place.scopes.records[SCOPE]
    assert record.desired.roles == {ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE}
    assert record.desired.weights == {ACTIVE: 0, STANDBY: 100}
    assert record.lease.holder is None
    assert [subject for subject, _ in place.messenger.notices] == [f"{SCOPE}: the failover to {STANDBY} is recorded"]
    assert not place.balancer.writes


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (left_behind(Verdict.UNHEALTHY), "use1-b is unhealthy: as the watch has it"),
        (left_behind(Verdict.UNKNOWN), "use1-b is unknown: as the watch has it"),
        (left_behind(age=60), "nobody has judged use1-b of late"),
        (
            left_behind(automation=Automation.OBSERVE),
            "the switch says observe for the fleet (proven in the game day; set by ada)",
        ),
    ],
    ids=["dead", "unknown", "long ago", "observing"],
)
def test_a_move_that_nobody_proves_is_not_recorded(place: Place, why: str) -> None:
    assert place.reconciler.settle(NOW).endswith(f"it is not recorded yet: {why}")
    assert place.scopes.records[SCOPE].desired == UNRECORDED


def test_while_a_failover_is_at_work_its_roles_are_its_own() -> None:
    place = left_behind()
    place.table.known = replace(place.table.known, scope=builders.record(UNRECORDED, builders.lease(4, EXECUTION)))
    assert place.reconciler.settle(NOW) == ""


def test_nothing_is_settled_where_roles_and_weights_agree() -> None:
    assert Place(builders.record(), {ACTIVE: 100, STANDBY: 0}).reconciler.settle(NOW) == ""


DRAINING = replace(MOVED, roles={ACTIVE: Role.DRAINING, STANDBY: Role.ACTIVE})


def test_a_cluster_that_a_failover_left_draining_is_quarantined_and_no_traffic_moves() -> None:
    place = Place(builders.record(DRAINING), {ACTIVE: 0, STANDBY: 100})
    assert place.reconciler.settle_drain(NOW) == f"; {ACTIVE} failed and was left draining; quarantined"
    record = place.scopes.records[SCOPE]
    assert record.desired.roles == {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
    assert (record.desired.weights, record.lease.holder) == ({ACTIVE: 0, STANDBY: 100}, None)
    assert not place.balancer.writes


def test_a_cluster_drains_as_long_as_its_failover_is_at_work() -> None:
    place = Place(builders.record(DRAINING, builders.lease(4, EXECUTION)), {ACTIVE: 0}, Automation.RUN, EXECUTION)
    assert place.reconciler.settle_drain(NOW) == ""


def test_where_the_switch_says_observe_a_draining_cluster_is_left_and_said() -> None:
    place = Place(builders.record(DRAINING), {ACTIVE: 0, STANDBY: 100}, Automation.OBSERVE)
    assert "the switch says observe" in place.reconciler.settle_drain(NOW)
    assert place.scopes.records[SCOPE].desired == DRAINING


def test_a_cluster_that_was_readmitted_meanwhile_is_not_quarantined() -> None:
    place = Place(builders.record(DRAINING), {ACTIVE: 0, STANDBY: 100})
    readmitted = replace(DRAINING, roles={ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    place.scopes.records[SCOPE] = builders.record(readmitted)
    place.reconciler.settle_drain(NOW)
    assert place.scopes.records[SCOPE].desired == readmitted


MOVE = Move(ACTIVE, STANDBY, {ACTIVE: 100, STANDBY: 0})


def left_half_way(weight: int) -> ScopeRecord:
    weights = {ACTIVE: 100 - weight, STANDBY: weight}
    return builders.record(replace(builders.desired(weights, superseded=(MOVE.before,)), move=MOVE))


def settling(weight: int, active: Verdict = Verdict.HEALTHY, automation: Automation = Automation.RUN) -> Place:
    record = left_half_way(weight)
    place = Place(record, dict(record.desired.weights), automation)
    found = {ACTIVE: builders.assessment(ACTIVE, active), STANDBY: builders.assessment(STANDBY)}
    place.table.known = replace(place.table.known, assessments=found)
    return place


def test_a_planned_move_that_nobody_is_at_work_on_is_undone() -> None:
    place = settling(50)
    assert place.reconciler.settle_move(NOW).endswith("undone")
    record = place.scopes.read(SCOPE)
    assert (record.desired.weights, record.desired.move) == (MOVE.before, None)
    assert record.desired.roles == {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}
    assert (record.lease.holder, record.lease.token) == (None, 4)
    assert place.balancer.weights == MOVE.before
    assert "a move that was left half-way is undone" in place.messenger.notices[0][0]


def test_a_planned_move_of_which_only_the_roles_are_missing_is_finished() -> None:
    place = settling(100)
    assert place.reconciler.settle_move(NOW).endswith("finished")
    record = place.scopes.read(SCOPE)
    assert (record.desired.weights, record.desired.move) == ({ACTIVE: 0, STANDBY: 100}, None)
    assert record.desired.roles == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}


def test_a_planned_move_whose_source_died_is_left_to_the_failover() -> None:
    place = settling(50, Verdict.UNHEALTHY)
    assert "the failover looks for another" in place.reconciler.settle_move(NOW)
    assert place.scopes.read(SCOPE) == left_half_way(50)
    assert not place.balancer.writes


@pytest.mark.parametrize("automation", [Automation.OBSERVE, Automation.OFF])
def test_a_planned_move_is_not_settled_while_the_switch_does_not_say_run(automation: Automation) -> None:
    place = settling(50, automation=automation)
    place.reconciler.settle_move(NOW)
    assert place.scopes.read(SCOPE) == left_half_way(50)


def test_a_planned_move_at_work_is_not_settled() -> None:
    record = replace(left_half_way(50), lease=builders.lease(4, EXECUTION, Purpose.ROLLOUT))
    place = Place(record, dict(record.desired.weights), Automation.RUN, EXECUTION)
    assert place.reconciler.settle_move(NOW) == ""


def test_a_planned_move_that_broke_off_delays_no_failover() -> None:
    record = replace(left_half_way(50), lease=builders.lease(4, EXECUTION, Purpose.ROLLOUT))
    place = Place(record, dict(record.desired.weights))
    place.reconciler.recover(NOW)
    after = place.scopes.read(SCOPE)
    assert (after.lease.holder, after.attempts, after.not_before) == (None, 0, 0.0)
    assert "a planned move ended half-way" in place.messenger.pages[0][0]


def test_a_failback_is_started_under_one_name() -> None:
    roles = {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}
    place = Place(builders.record(builders.desired({ACTIVE: 0, STANDBY: 100}, roles)), {ACTIVE: 0, STANDBY: 100})
    assert place.reconciler.fail_back(NOW) == ""
    found = {ACTIVE: builders.assessment(ACTIVE), STANDBY: builders.assessment(STANDBY)}
    applied = replace(place.table.known.applied, config=builders.fleet(moves={"automatic_failback": True}))
    place.table.known = replace(place.table.known, assessments=found, applied=applied)
    assert place.reconciler.fail_back(NOW).endswith("the failback is started")
    (payload,) = place.executions.started.values()
    assert ExecutionInput.model_validate(payload).to_cluster_id == ACTIVE
    assert place.reconciler.fail_back(NOW).endswith("it was tried and did not succeed")
