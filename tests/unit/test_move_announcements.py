"""What people are told of planned moves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from standfast import move_announcements
from standfast.announcements import Urgency
from standfast.move_judgement import StageAction
from standfast.planned_events import TRIGGER
from standfast.shifting import AbortStep, ShiftInput, ShiftPlan, Stage
from standfast.steps import DrainStep, GiveUpStep
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY

PLAN: dict[str, Any] = {
    "mode": "switchover",
    "scope_id": SCOPE,
    "execution_arn": EXECUTION,
    "incident_id": "one",
    "failed_cluster_id": ACTIVE,
    "reason": "a new driver",
    "failed_since": NOW,
    "detected_at": NOW,
    "trigger": "console",
    "token": 4,
    "may_change": True,
    "held_back": "",
    "planned": True,
}
SELECTION = {"cluster_id": STANDBY, "reason": "it is proven", "overload": "", "tried": [STANDBY]}
SHIFT = {"version": 9, "weights": {ACTIVE: 0, STANDBY: 100}, "shifted_at": NOW}
ASKED = ShiftInput(
    scope_id=SCOPE,
    holder=EXECUTION,
    token=4,
    incident_id="one",
    source=ACTIVE,
    target=STANDBY,
    reason="a new driver",
    stages=[10, 100],
    bake_seconds=60,
    pause_before=[100],
    pause_seconds=600,
)
STAGE = Stage(number=2, weight=100, pause=True, last=True)


def gave_up(error: str, cause: str, *, ours: bool = True, trigger: str = "console") -> Any:
    step = GiveUpStep.model_validate({**PLAN, "trigger": trigger, "error": {"Error": error, "Cause": cause}})
    return move_announcements.gave_up(step, ours=ours)


def child(error: str, cause: str) -> tuple[str, str]:
    """How a child that failed is caught."""
    return "States.TaskFailed", json.dumps(
        {"ExecutionArn": EXECUTION, "Status": "FAILED", "Error": error, "Cause": cause}
    )


def test_a_move_that_is_done_is_told_by_day() -> None:
    told = move_announcements.moved(DrainStep.model_validate({**PLAN, "selection": SELECTION, "shift": SHIFT}))
    assert told.urgency is Urgency.NOTICE
    assert f"went from {ACTIVE} to {STANDBY} in stages" in told.text
    assert f"{ACTIVE} is the standby now" in told.text
    assert "Mind" not in told.text


def test_an_overload_that_was_accepted_is_told() -> None:
    selection = {**SELECTION, "overload": "50 % fits, which was accepted"}
    told = move_announcements.moved(DrainStep.model_validate({**PLAN, "selection": selection, "shift": SHIFT}))
    assert "Mind: 50 % fits, which was accepted." in told.text


def test_a_move_that_was_given_up_wakes_nobody_while_the_traffic_is_where_it_was() -> None:
    told = gave_up(*child("ShiftAborted", "use1-b is dead; the weights of before are restored"))
    assert told.urgency is Urgency.NOTICE
    assert "was given up: ShiftAborted: use1-b is dead; the weights of before are restored" in told.text


def test_somebody_is_woken_when_the_weights_could_not_be_put_back() -> None:
    told = gave_up(*child("ShiftStranded", "use1-a died meanwhile"))
    assert told.urgency is Urgency.PAGE
    assert "Look at them now" in told.text


def test_somebody_is_woken_when_a_move_before_what_aws_announced_is_given_up() -> None:
    for ours, urgency in ((True, Urgency.PAGE), (False, Urgency.NOTICE)):
        told = gave_up(*child("ShiftAborted", "use1-b is dead"), ours=ours, trigger=TRIGGER)
        assert told.urgency is urgency


def test_a_move_that_a_failover_took_over_wakes_nobody_a_second_time() -> None:
    told = gave_up(
        *child("ShiftSuperseded", json.dumps({"Error": "FencedError", "Cause": "token 4 is stale"})), ours=False
    )
    assert told.urgency is Urgency.NOTICE
    assert "A failover took over" in told.text


def test_a_move_that_never_began_says_so() -> None:
    cause = json.dumps({"errorMessage": "use1-b can carry 50 % of the traffic"})
    told = gave_up("NoHeadroomError", cause)
    assert "NoHeadroomError: use1-b can carry 50 % of the traffic\nNothing was moved." in told.text


def test_a_child_that_was_stopped_has_no_error_of_its_own() -> None:
    told = gave_up("States.TaskFailed", json.dumps({"ExecutionArn": EXECUTION, "Status": "ABORTED"}))
    assert "was given up: it ended as ABORTED" in told.text


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ({"answer": {"approved": False, "timed_out": True}}, "nobody answered within 600 s, before stage 2 of 2"),
        ({"answer": {"approved": False}}, f"a person said stop before stage 2 of 2 (100 % at {STANDBY})"),
        (
            {"error": {"Error": "NotConvergedError", "Cause": '{"errorMessage": "somebody else writes"}'}},
            f"stage 2 of 2 (100 % at {STANDBY}): NotConvergedError: somebody else writes",
        ),
        (
            {
                "answer": {"approved": True},
                "judged": {"action": StageAction.ABORT, "reason": "it is dead", "last": True, "next": STAGE},
            },
            f"stage 2 of 2 (100 % at {STANDBY}): it is dead",
        ),
    ],
)
def test_why_a_shift_was_given_up_is_told_in_words(why: dict[str, Any], words: str) -> None:
    step = AbortStep(**ASKED.model_dump(), before={ACTIVE: 100}, stage=STAGE, **why)
    assert move_announcements.why_aborted(step).startswith(words)


def test_a_person_who_is_asked_because_the_judge_cannot_say_is_told_what_it_lacks() -> None:
    lacks = "after 0 samples in 1020 s not proven either way"
    plan = ShiftPlan(**ASKED.model_dump(), before={ACTIVE: 100, STANDBY: 0}, stage=STAGE)
    before_next = plan.model_copy(update={"stage": STAGE.model_copy(update={"asked": lacks})})
    said = move_announcements.question(before_next)
    assert said.startswith(f"{SCOPE}: shift 100 % of the traffic from {ACTIVE} to {STANDBY} (stage 2 of 2)?")
    assert said.endswith(f"The judge cannot say: {lacks}")
    stays = plan.model_copy(update={"stage": STAGE.model_copy(update={"asked": lacks, "vouched": True})})
    assert "leave 100 % of the traffic" in move_announcements.question(stays)
    notice = move_announcements.asking(stays, EXECUTION, "text", "https://answer.test", NOW)
    assert notice.subject == f"{SCOPE}: shall 100 % stay at {STANDBY}?"
    assert move_announcements.asking(plan, EXECUTION, "text", "", NOW).subject.endswith(f"100 % go to {STANDBY}?")
