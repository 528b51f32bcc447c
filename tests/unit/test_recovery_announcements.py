"""What people are told of recoveries: what was wrong, what was done, what is left to do."""

from __future__ import annotations

from typing import Any

import pytest

from standfast import recovery_announcements as told
from standfast.announcements import Urgency
from standfast.assessing import NodeEvidence
from standfast.checks import NodeFinding, NodeHealth
from standfast.health import Verdict
from standfast.recovery import Remedy
from standfast.recovery_steps import DecidedStep, GiveUpRecoveryStep, PlanStep
from standfast.scaling import FailedActivity, Refusal
from standfast.xids import Action
from tests.builders import ACTIVE, NOW, SCOPE

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:cluster-recovery:one"
REBOOT = Remedy("r-1", "i-1", Action.REBOOT, NOW, "off the bus")
PLAN: dict[str, Any] = {
    "scope_id": SCOPE,
    "cluster_id": ACTIVE,
    "cluster_ids": [ACTIVE],
    "execution_arn": EXECUTION,
    "incident_id": "one",
    "reason": "i-1 of use1-a: off the bus",
    "trigger": "schedule",
    "began_at": NOW - 60,
    "may_change": True,
    "held_back": "",
    "listed": [{"instance_id": "i-1", "urls": ["http://1.test"], "registered": True, "launched_at": NOW - 9e6}],
}


def decision(action: str = "done", reason: str = "4 of 4 nodes answer") -> dict[str, Any]:
    return {
        "action": action, "reason": reason, "treatments": [], "bring_back": [], "wait_seconds": 0, "serves": True,
        "well": 4, "expected": 4,
    }  # fmt: skip


def decided(**changes: Any) -> DecidedStep:
    return DecidedStep.model_validate({**PLAN, "decision": decision(), **changes})


def given_up(**changes: Any) -> GiveUpRecoveryStep:
    return GiveUpRecoveryStep.model_validate({**PLAN, **changes})


def test_a_recovery_that_succeeded_says_what_was_done_by_day() -> None:
    said = told.recovered(decided(), [REBOOT], readmitted=True)
    assert (said.urgency, said.subject) == (Urgency.NOTICE, f"{SCOPE}: {ACTIVE} is mended")
    assert "What was wrong: i-1 of use1-a: off the bus" in said.text
    assert "- 2027-01-15 08:00:00.0 UTC: reboot on i-1: off the bus" in said.text
    assert "Now: 4 of 4 nodes answer; use1-a is standby again: nothing is routed to it by that." in said.text
    assert EXECUTION in said.text


def test_a_recovery_that_found_nothing_to_do_says_so() -> None:
    said = told.recovered(decided(), [], readmitted=False)
    assert said.subject == f"{SCOPE}: {ACTIVE} is well"
    assert "What was done: nothing had to be done." in said.text
    assert "its role is unchanged" in said.text


def test_while_the_switch_observes_it_says_what_would_have_been_done() -> None:
    step = decided(may_change=False, held_back="the switch says observe", decision=decision("treat", "reboot on i-1"))
    said = told.held_back(step)
    assert "What would have been done: treat: reboot on i-1." in said.text
    assert "Nothing was changed: the switch says observe." in said.text


@pytest.mark.parametrize(("serves", "urgency"), [(True, Urgency.NOTICE), (False, Urgency.PAGE)])
def test_a_recovery_that_failed_wakes_somebody_where_the_standby_is_lost(serves: bool, urgency: Urgency) -> None:
    step = given_up(decision=decision("give up", "i-1 is not mended by the whole ladder"))
    said = told.not_recovered(step, [REBOOT], NOW + 900, serves=serves)
    assert (said.urgency, said.subject) == (urgency, f"{SCOPE}: {ACTIVE} is not mended")
    assert "It is not mended: i-1 is not mended by the whole ladder" in said.text
    assert ("stays quarantined until it is mended" in said.text) is not serves
    assert "3. the next recovery may begin at 2027-01-15 08:15:00.0 UTC, by itself." in said.text


@pytest.mark.parametrize(("refusal", "mend"), [
    (Refusal.CAPACITY, "1. give the Auto Scaling group gpu another instance type or Availability Zone"),
    (Refusal.QUOTA, "1. ask for a higher quota (Service Quotas"),
    (Refusal.OTHER, "1. mend what AWS says above"),
])  # fmt: skip
def test_an_instance_that_could_not_be_had_is_said_with_what_to_do(refusal: Refusal, mend: str) -> None:
    step = given_up(decision=decision("give up", "use1-a has 3 of 4 nodes"))
    failed = FailedActivity("gpu", NOW, refusal, "we do not have sufficient capacity")
    said = told.not_recovered(step, [REBOOT], None, serves=False, failed=failed)
    assert f"Why no instance came: {refusal}, and Auto Scaling group gpu cannot launch: we do not have" in said.text
    assert mend in said.text


def test_an_error_is_told_in_its_own_words() -> None:
    caught = {"Error": "AccessDeniedError", "Cause": '{"errorMessage": "SendCommand: not allowed"}'}
    said = told.not_recovered(given_up(error=caught), [], None, serves=False)
    assert "It is not mended: AccessDeniedError: SendCommand: not allowed" in said.text
    assert said.outcome == "not recovered: AccessDeniedError"


def test_one_that_ended_without_a_word_is_told_for_it() -> None:
    said = told.ended_half_way(SCOPE, EXECUTION, "TIMED_OUT")
    assert (said.urgency, said.subject) == (Urgency.PAGE, f"{SCOPE}: a recovery ended half-way (TIMED_OUT)")


def test_a_member_is_put_together_from_list_report_and_answers() -> None:
    finding = NodeFinding("i-1", Verdict.UNHEALTHY, "off the bus", Action.REBOOT, ("xid",))
    collected = NodeEvidence.of([NodeHealth(ACTIVE, NOW, (finding,))], done=True).model_dump(mode="json")
    probed = {"i-1": {"answers": False, "detail": "connection refused"}}
    step = PlanStep.model_validate({**PLAN, "collected": collected, "probed": probed})
    (member,) = step.members()
    assert member.finding is not None
    assert (member.finding.action, member.answers, member.detail) == (Action.REBOOT, False, "connection refused")
    without = PlanStep.model_validate({**PLAN, "collected": {"missing": "no report"}, "probed": {}})
    assert (without.members()[0].finding, without.members()[0].answers) == (None, False)
