"""Whether a recovery begins, may change anything, and who has a cluster in charge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.brake import Override
from standfast.checks import NodeFinding, NodeHealth
from standfast.errors import AutomationOffError, FencedError, LeaseHeldError
from standfast.fleet import Automation, Role
from standfast.health import Verdict
from standfast.lease import HolderState, Lease, Purpose
from standfast.recovery import Remedy
from standfast.recovery_record import RecoveryRecord
from standfast.recovery_start import Due, admit, decide_begin, execution_name, noted, serves
from standfast.stores import View
from standfast.xids import Action
from tests import builders
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY

RECOVERY = "arn:aws:states:us-east-1:123456789012:execution:cluster-recovery:one"
OTHER = RECOVERY.replace(":one", ":other")


def ill_view(action: Action = Action.REBOOT, *, reported: float = NOW - 20, **config: Any) -> View:
    """One node of the active cluster has a fault."""
    node = NodeFinding("i-1", Verdict.UNHEALTHY, "reboot: off the bus", action)
    known = builders.view(config=builders.fleet(**config) if config else None)
    return replace(known, nodes={ACTIVE: NodeHealth(ACTIVE, reported, (node,))})


def down_view(down: int = 1, *, at: float = NOW) -> View:
    """The watch finds so many of the active cluster's four replicas down."""
    found = builders.assessment(verdict=Verdict.DEGRADED, reason="3 of 4 replicas pass")
    return builders.view(assessments={ACTIVE: replace(found, passing=4 - down, assessed_at=at)})


def quarantined_view() -> View:
    roles = {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
    return builders.view(builders.record(builders.desired({ACTIVE: 0, STANDBY: 100}, roles)))


def due(view: View, record: RecoveryRecord | None = None, **more: Any) -> Due:
    given = {"holder": HolderState.ENDED, "brake": builders.brake(), "now": NOW, **more}
    return decide_begin(view, record or RecoveryRecord(ACTIVE), **given)


def test_a_node_whose_fault_calls_for_more_than_a_look_begins_one() -> None:
    assert due(ill_view()) == Due(True, f"i-1 of {ACTIVE}: reboot: off the bus", f"{ACTIVE}-v7-r0")


def test_a_quarantined_cluster_in_nobodys_hand_begins_one() -> None:
    assert due(quarantined_view()) == Due(True, f"{ACTIVE} is quarantined", f"{ACTIVE}-v7-r0")


def test_replicas_that_are_down_may_come_back_by_themselves_first() -> None:
    view, record = down_view(), RecoveryRecord(ACTIVE)
    record = noted(view, record, NOW - 20)
    assert record.down_since == NOW - 20
    assert noted(view, record, NOW) is record
    assert "down for 20 s, and may come back by themselves" in due(view, record).reason
    found = due(view, replace(record, down_since=NOW - 30))
    assert found.begin
    assert found.reason == f"1 of 4 replicas of {ACTIVE} do not pass for 30 s: 3 of 4 replicas pass"
    assert noted(down_view(0), record, NOW).down_since is None
    assert noted(down_view(0, at=NOW - 60), record, NOW) is record  # nobody has looked of late


@pytest.mark.parametrize(
    ("view", "record", "more", "words"),
    [
        pytest.param(builders.view(), None, {}, f"nothing is to be mended in {ACTIVE}", id="well"),
        pytest.param(ill_view(Action.WATCH), None, {}, "nothing is to be mended", id="a look is enough"),
        pytest.param(ill_view(reported=NOW - 91), None, {}, "nothing is to be mended", id="an old report"),
        pytest.param(ill_view(recovery={"automatic": False}), None, {}, "recovery.automatic is false", id="by hand"),
        pytest.param(ill_view(), None, {"brake": builders.brake(Automation.OFF)}, "the switch is off", id="off"),
        pytest.param(
            ill_view(), RecoveryRecord(ACTIVE, lease=Lease(1, OTHER, Purpose.RECOVERY, NOW)),
            {"holder": HolderState.RUNNING}, f"{OTHER} is at work on it", id="in hand",
        ),
        pytest.param(
            ill_view(), RecoveryRecord(ACTIVE, lease=Lease(1, OTHER, Purpose.RECOVERY, NOW)),
            {"holder": HolderState.UNKNOWN}, "is at work on it", id="unknown is not ended",
        ),
        pytest.param(
            ill_view(), RecoveryRecord(ACTIVE, attempts=1, not_before=NOW + 60), {},
            "the next recovery may begin in 60 s", id="hold-down",
        ),
        pytest.param(
            replace(ill_view(), scope=builders.record(held=builders.lease(4, builders.EXECUTION))), None, {},
            "a failover is at work", id="failover",
        ),
    ],
)  # fmt: skip
def test_what_keeps_one_from_beginning_is_said(
    view: View, record: RecoveryRecord | None, more: dict[str, Any], words: str
) -> None:
    found = due(view, record, **more)
    assert not found.begin
    assert words in found.reason


def test_a_failover_has_its_cluster_mended_under_its_own_lease_and_in_a_hold_down() -> None:
    view = replace(builders.view(), scope=builders.record(held=builders.lease(4, builders.EXECUTION)))
    record = RecoveryRecord(ACTIVE, attempts=2, not_before=NOW + 600)
    assert due(view, record, failed_over=True) == Due(True, "its traffic has just left it", f"{ACTIVE}-v7-r0")


def test_it_says_when_it_is_worth_asking_again() -> None:
    suspect = due(builders.view(), RecoveryRecord(ACTIVE, down_since=NOW - 20))
    assert suspect.next_change_at == NOW + 10
    assert due(ill_view(), RecoveryRecord(ACTIVE, attempts=1, not_before=NOW + 60)).next_change_at == NOW + 60
    assert due(builders.view()).next_change_at is None


def test_while_the_switch_observes_the_execution_has_a_name_of_its_own() -> None:
    found = due(ill_view(), brake=builders.brake(Automation.OBSERVE))
    assert found.name == f"{ACTIVE}-v7-r0-observed"
    assert len(execution_name("a" * 32, 99_999, RecoveryRecord("a", version=99_999), Automation.OBSERVE)) <= 80


def test_a_cluster_serves_unless_it_failed_and_has_no_traffic() -> None:
    view = quarantined_view()
    assert (serves(view, ACTIVE), serves(view, STANDBY)) == (False, True)
    roles = {ACTIVE: Role.QUARANTINED, STANDBY: Role.STANDBY}
    assert serves(builders.view(builders.record(builders.desired({ACTIVE: 100, STANDBY: 0}, roles))), ACTIVE)


def test_the_switches_admit_hold_back_or_refuse() -> None:
    assert admit(SCOPE, ACTIVE, builders.brake()).may_change
    held = admit(SCOPE, ACTIVE, builders.brake(Automation.OBSERVE))
    assert (held.may_change, "the switch says observe" in held.held_back) == (False, True)
    with pytest.raises(AutomationOffError, match="set it to run or observe first, or give break_glass"):
        admit(SCOPE, ACTIVE, builders.brake(use1_a=Automation.OFF))
    assert admit(SCOPE, ACTIVE, builders.brake(Automation.OFF), Override("ada", "now")).may_change


# The record


def test_one_execution_at_a_time_has_a_cluster_in_charge() -> None:
    record = RecoveryRecord(ACTIVE).taken_by(RECOVERY, HolderState.ENDED, NOW)
    record.check_in_charge(RECOVERY)
    with pytest.raises(LeaseHeldError, match=f"{ACTIVE} is in hand already"):
        record.taken_by(OTHER, HolderState.RUNNING, NOW)
    with pytest.raises(LeaseHeldError, match="unknown is not ended"):
        record.taken_by(OTHER, HolderState.UNKNOWN, NOW)
    taken_over = record.taken_by(OTHER, HolderState.ENDED, NOW)
    with pytest.raises(FencedError, match=f"{ACTIVE} is in hand of {OTHER} by now"):
        taken_over.check_in_charge(RECOVERY)


def test_a_remedy_is_recorded_once_and_forgotten_after_a_day() -> None:
    old = Remedy("r-0", "i-1", Action.REBOOT, NOW - 90_000, "old")
    new = Remedy("r-1", "i-1", Action.REBOOT, NOW, "new")
    record = replace(RecoveryRecord(ACTIVE), remedies=(old,)).with_remedies([new], NOW)
    assert record.remedies == (new,)
    assert record.with_remedies([replace(new, at=NOW + 5)], NOW).remedies == (new,)


def test_who_was_taken_out_is_remembered_until_it_is_back_or_gone() -> None:
    record = RecoveryRecord(ACTIVE).with_out(["i-1", "i-2"], ["i-1", "i-2", "i-3"])
    assert record.taken_out == {"i-1", "i-2"}
    assert record.with_out(["i-3"], ["i-1", "i-3"]).taken_out == {"i-1", "i-3"}
    assert record.without_out(["i-1"]).taken_out == {"i-2"}


def test_the_wait_after_a_failed_recovery_doubles_and_a_good_one_ends_it() -> None:
    record = RecoveryRecord(ACTIVE).taken_by(RECOVERY, HolderState.ENDED, NOW)
    once = record.failed(900, NOW)
    assert (once.lease.holder, once.attempts, once.not_before) == (None, 1, NOW + 900)
    assert once.failed(900, NOW).not_before == NOW + 1800
    assert (once.succeeded().attempts, once.succeeded().not_before) == (0, 0.0)
