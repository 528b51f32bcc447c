"""What an execution left behind: whole, or half-way in words. And late writes: refused, or counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.ends import what_is_left
from sandbox.late import ANSWERED, LateWrite, dead_writes
from sandbox.scenarios.controller_dies import FAILOVER, KILL_POINTS, KillPoint, Row, figures
from standfast.fleet import Role
from standfast.traffic import Move, Weights
from tests.builders import ACTIVE, EXECUTION, STANDBY, desired, lease, record

ALL_AT_HOME = {ACTIVE: 100, STANDBY: 0}
MOVED = {ACTIVE: 0, STANDBY: 100}
FAILED_OVER = {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE}
MOVE = Move(ACTIVE, STANDBY, ALL_AT_HOME)


def test_a_scope_that_was_never_touched_or_failed_over_is_whole() -> None:
    assert what_is_left(record(), ALL_AT_HOME, told=True) == []
    assert what_is_left(record(desired(MOVED, FAILED_OVER)), MOVED, told=True) == []


@pytest.mark.parametrize(
    ("scope", "actual", "told", "words"),
    [
        (record(held=lease(4, EXECUTION)), ALL_AT_HOME, True, f"the lease is held by {EXECUTION}"),
        (record(desired(MOVED, FAILED_OVER)), ALL_AT_HOME, True, "the rule is"),
        (record(desired(MOVED)), MOVED, True, f"traffic is on ['{STANDBY}'], the roles are"),
        (record(replace(desired(), move=MOVE)), ALL_AT_HOME, True, "a planned move from use1-a to use1-b"),
        (record(desired({ACTIVE: 90, STANDBY: 10})), {ACTIVE: 90, STANDBY: 10}, True, "the roles are"),
        (record(desired(MOVED, {**FAILED_OVER, ACTIVE: Role.DRAINING})), MOVED, True, "use1-a is left draining"),
        (record(), ALL_AT_HOME, False, "nobody was told"),
        (record(), {ACTIVE: 0, STANDBY: 0}, True, "traffic is on nothing"),
    ],
)
def test_what_is_half_way_is_said(scope: Any, actual: Weights, told: bool, words: str) -> None:
    assert any(words in each for each in what_is_left(scope, actual, told=told))


def test_only_its_token_refuses_a_late_write() -> None:
    refused = LateWrite("shift-traffic", "shift-traffic in us-east-1: FencedError: token 4 is stale")
    assert (refused.refused, str(refused)) == (True, "late shift-traffic: refused")
    assert not LateWrite("record-roles", ANSWERED).refused
    assert not LateWrite("shift-traffic", "shift-traffic in us-east-1: AutomationOffError: off").refused
    assert "version was 7" in str(replace(refused, changed="version was 7 and is 8"))


def test_every_state_of_a_failover_that_does_something_is_a_kill_point() -> None:
    after = {point.state for point in KILL_POINTS if not point.planned and not point.during}
    assert after == {*FAILOVER, "GiveUp"}
    assert len({str(point) for point in KILL_POINTS}) == len(KILL_POINTS)


def test_a_controller_without_a_token_has_nothing_to_write() -> None:
    assert dead_writes({"mode": "failover"}, {}, STANDBY) == []


def test_a_dead_failover_would_still_write_weights_and_roles() -> None:
    writes = dead_writes({"token": 4, "planned": False}, {}, STANDBY)
    assert [function for function, _ in writes] == ["record-roles", "shift-traffic", "quarantine"]
    assert {payload["selection"]["cluster_id"] for _, payload in writes} == {STANDBY}


def test_a_dead_planned_move_would_still_write_stages() -> None:
    writes = dead_writes({"token": 4, "planned": True}, {"token": 4, "before": ALL_AT_HOME}, STANDBY)
    assert [function for function, _ in writes] == ["record-roles", "shift-stage", "abort-shift"]
    assert dead_writes({}, {"token": 4}, STANDBY) == []


def test_the_figures_count_what_went_wrong_and_name_each_kill_point() -> None:
    refused = LateWrite("shift-traffic", "shift-traffic in us-east-1: FencedError: stale")
    whole = Row(KillPoint("TakeLease"), True, [ACTIVE], [], [refused])
    broken = Row(
        KillPoint("ShiftTraffic"),
        True,
        [STANDBY],
        ["nobody was told"],
        [LateWrite("quarantine", ANSWERED, "roles were other ones")],
    )
    missed = Row(KillPoint("Announce"), False, [STANDBY], [])
    found = figures([whole, broken, missed])
    table = found.pop("ends")
    assert found == {
        "kill_points": 2,
        "half_way_ends": 1,
        "stale_writes_tried": 2,
        "stale_writes_refused": 1,
        "stale_writes_applied": 1,
    }
    assert table["after TakeLease"] == f"whole, on {ACTIVE}"
    assert "HALF-WAY: nobody was told" in table["after ShiftTraffic"]
    assert table["after Announce"] == "the execution had ended by itself"
