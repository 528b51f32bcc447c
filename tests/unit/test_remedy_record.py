"""Remedies in an incident: each once, with what came of it, whoever writes beside and however often."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.incidents import Act, Incident, Kind
from standfast.recovery import DAY_SECONDS, Remedy
from standfast.recovery_steps import RecoveryPlan
from standfast.remedy_record import DID_NOT_HELP, HELPED, NOT_KNOWN, UNDER_WAY, Course, amend, amended_by
from standfast.xids import Action
from tests.builders import ACTIVE, NOW, SCOPE
from tests.fakes import FakeIncidentLog

INCIDENT = Incident("i-1", SCOPE, ACTIVE, "0 of 4 replicas pass", NOW - 30, NOW - 28, affects_users=True, version=1)
STEP = RecoveryPlan(
    scope_id=SCOPE,
    cluster_id=ACTIVE,
    cluster_ids=[ACTIVE],
    execution_arn="arn:one",
    incident_id="i-1-recovery",
    reason="use1-a is quarantined",
    trigger="failover",
    began_at=NOW - 20,
    may_change=True,
    held_back="",
)


def remedy(node: str, rung: Action, at: float) -> Remedy:
    return Remedy(f"{node}-{rung.name}-{at:.0f}", node, rung, at, "no answer: connection refused")


RESTART, REBOOT = remedy("i-0", Action.RESTART_ENGINE, NOW), remedy("i-0", Action.REBOOT, NOW + 60)
OTHER = remedy("i-1", Action.RESET_GPU, NOW + 5)


def outcomes(course: Course) -> list[str]:
    return [act.outcome for act in amended_by(INCIDENT, course).actions if act.outcome]


def test_a_remedy_that_another_followed_did_not_help_and_the_last_is_judged_by_its_node() -> None:
    tried = (RESTART, OTHER, REBOOT)
    assert outcomes(Course(tried)) == [DID_NOT_HELP, UNDER_WAY, UNDER_WAY]
    assert outcomes(Course(tried, (), NOW + 90, "mended", mended=True)) == [DID_NOT_HELP, HELPED, HELPED]
    assert outcomes(Course(tried, ("i-1",), NOW + 90, "not mended")) == [DID_NOT_HELP, HELPED, NOT_KNOWN]


def test_an_outcome_replaces_the_one_before_and_the_act_stays_one() -> None:
    begun = amended_by(INCIDENT, Course((RESTART,)))
    ended = amended_by(begun, Course((RESTART,), ("i-0",), NOW + 30, "use1-a is mended", mended=True))
    assert ended.actions == (
        Act(NOW, "restart engine on i-0: no answer: connection refused", HELPED),
        Act(NOW + 30, "use1-a is mended"),
    )
    assert str(ended.actions[0]).endswith("connection refused: it helped")
    assert ended.durations()["mend"] == 60


def test_what_was_done_before_the_incident_began_is_none_of_its_actions() -> None:
    assert amended_by(INCIDENT, Course((remedy("i-0", Action.REBOOT, NOW - 31),))) == INCIDENT


@given(st.lists(st.sampled_from([RESTART, REBOOT, OTHER]), unique=True), st.booleans(), st.booleans())
def test_the_same_course_again_changes_nothing(tried: list[Remedy], ended: bool, mended: bool) -> None:
    course = Course(tried, ("i-1",), NOW + 90 if ended else None, "said", mended=mended)
    once = amended_by(INCIDENT, course)
    assert amended_by(once, course) == once
    later = replace(course, ended_at=NOW + 95 if ended else None)
    assert amended_by(once, later) == once  # a repeated step has another clock


def test_a_repeated_step_writes_once() -> None:
    log = FakeIncidentLog(INCIDENT)
    for _ in range(3):
        amend(log, STEP, Course((RESTART,)), NOW)
    assert log.open["i-1"].version == 2


def test_an_incident_that_is_closed_between_read_and_write_is_amended_where_it_is_then() -> None:
    log = FakeIncidentLog(INCIDENT)
    original = log.amend_incident

    def overtaken(incident: Incident) -> None:
        if "i-1" in log.open:
            log.write_incident(replace(log.open["i-1"], well_since=NOW, closed_at=NOW))
        original(incident)

    log.amend_incident = overtaken  # type: ignore[method-assign]  # the moment between read and write
    amend(log, STEP, Course((RESTART,)), NOW)
    assert not log.open
    assert [(each.closed_at, len(each.actions)) for each in log.closed] == [(NOW, 1)]


@pytest.mark.parametrize(
    "old",
    [
        replace(INCIDENT, opened_at=NOW - DAY_SECONDS - 1, closed_at=NOW - 60),
        replace(INCIDENT, closed_at=NOW - 60, mended_at=STEP.began_at - 1),
    ],
    ids=["days ago", "mended before this recovery began"],
)
def test_an_incident_that_was_over_before_is_left_alone(old: Incident) -> None:
    log = FakeIncidentLog()
    log.closed.append(old)
    amend(log, STEP, Course((RESTART,), (), NOW, "mended", mended=True), NOW)
    assert log.closed == [old]


def test_that_the_region_has_no_standby_is_another_incident() -> None:
    lost = replace(INCIDENT, incident_id="i-0", kind=Kind.REDUNDANCY)
    log = FakeIncidentLog(lost, INCIDENT)
    amend(log, STEP, Course((RESTART,)), NOW)
    assert (log.open["i-0"], len(log.open["i-1"].actions)) == (lost, 1)
