"""What the judge of a release may change of what the assessment says of a stage, and what not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.capacity import Fit
from standfast.errors import InvalidInputError
from standfast.judge import StageVerdict, Verdict
from standfast.move_judgement import StageAction, StageDecision, with_headroom
from standfast.release_judgement import bake_seconds, check_time, combined, compares_times, following, is_sampled
from standfast.rollout_rules import RolloutRules
from standfast.shifting import ShiftInput, ShiftPlan, Stage
from tests.builders import ACTIVE, EXECUTION, SCOPE, STANDBY

RULES = RolloutRules()
ASSESSED = st.sampled_from([StageAction.PASS, StageAction.WAIT, StageAction.ABORT])
VERDICTS = st.one_of(st.none(), st.sampled_from(Verdict))


def plan(number: int = 1, *, release: bool = True, vouched: bool = False, bake: int = 60) -> ShiftPlan:
    stages = [10, 50, 100]
    last = number == len(stages)
    given: dict[str, Any] = {"release": {"version": "v2"}} if release else {}
    return ShiftPlan(
        scope_id=SCOPE,
        holder=EXECUTION,
        token=3,
        incident_id="one",
        source=ACTIVE,
        target=STANDBY,
        reason="v2 is out",
        stages=stages,
        bake_seconds=bake,
        before={ACTIVE: 100, STANDBY: 0},
        stage=Stage(number=number, weight=stages[number - 1], pause=vouched, last=last, vouched=vouched),
        **given,
    )


def decided(assessed: StageAction, verdict: Verdict | None, of: ShiftPlan) -> StageAction:
    judged = None if verdict is None else StageVerdict(verdict, "as judged", ())
    return combined(StageDecision(assessed, "as assessed"), judged, of).action


@given(assessed=ASSESSED, verdict=VERDICTS)
def test_in_a_planned_move_the_judge_may_stop_and_nothing_else(assessed: StageAction, verdict: Verdict | None) -> None:
    found = decided(assessed, verdict, plan(release=False))
    assert found is (StageAction.ABORT if verdict is Verdict.ABORT else assessed)


@given(assessed=ASSESSED, verdict=st.sampled_from(Verdict), number=st.integers(1, 3))
def test_a_release_passes_only_what_both_find_good(assessed: StageAction, verdict: Verdict, number: int) -> None:
    found = decided(assessed, verdict, plan(number))
    assert (found is StageAction.PASS) == (assessed is StageAction.PASS and verdict is Verdict.PROMOTE)
    assert (found is StageAction.ABORT) == (assessed is StageAction.ABORT or verdict is Verdict.ABORT)
    assert (found is StageAction.ASK) == (assessed is StageAction.PASS and verdict is Verdict.INCONCLUSIVE)


@given(assessed=ASSESSED, verdict=VERDICTS)
def test_what_a_person_vouched_for_is_stopped_by_what_is_bad_alone(
    assessed: StageAction, verdict: Verdict | None
) -> None:
    found = decided(assessed, verdict, plan(3, vouched=True))
    assert found is (StageAction.ABORT if verdict is Verdict.ABORT else assessed)


def test_a_reason_says_what_both_say() -> None:
    judged = StageVerdict(Verdict.CONTINUE, "not proven yet", ())
    found = combined(StageDecision(StageAction.PASS, "good for 60 s"), judged, plan())
    assert found == StageDecision(StageAction.WAIT, "good for 60 s; not proven yet")


def test_who_is_asked_is_asked_before_the_next_stage_or_whether_the_last_shall_stay() -> None:
    asked = StageDecision(StageAction.ASK, "after 0 samples")
    before_next, at_last = following(plan(1), asked), following(plan(3), asked)
    assert (before_next.number, before_next.pause, before_next.vouched) == (2, True, False)
    assert (at_last.number, at_last.pause, at_last.vouched) == (3, True, True)
    assert before_next.asked == at_last.asked == "after 0 samples"
    assert before_next.question != at_last.question != following(plan(2), asked).question


def test_without_a_question_the_stages_follow_each_other_as_planned() -> None:
    passed = StageDecision(StageAction.PASS, "good")
    assert following(plan(1), passed) == Stage(number=2, weight=50, pause=False, last=False)
    assert following(plan(3), passed) == plan(3).stage


def test_a_planned_move_that_does_not_bake_is_not_sampled() -> None:
    assert not is_sampled(plan(release=False, bake=0))
    assert is_sampled(plan(release=False, bake=1))
    assert is_sampled(plan(bake=0))


def test_only_a_release_may_be_in_doubt_for_as_long_as_it_gathers_samples() -> None:
    assert [bake_seconds(plan(release=False), RULES, baked) for baked in (10, 500)] == [60, 60]
    assert [bake_seconds(plan(), RULES, baked) for baked in (10, 500, 5000)] == [60, 500, 60 + RULES.patience_seconds]


def test_nobody_is_asked_about_a_stage_that_does_not_fit() -> None:
    fit = Fit(share=0.3, reason="30 % fit")
    found = with_headroom(StageDecision(StageAction.ASK, "after 0 samples"), fit, 50)
    assert found.action is StageAction.ABORT


def asked(**changes: Any) -> ShiftInput:
    given = plan().model_dump(exclude={"before", "stage"})
    return ShiftInput.model_validate({**given, **changes})


def test_a_release_that_could_outlast_its_execution_is_refused_before_it_begins() -> None:
    check_time(asked(), RULES)
    check_time(asked(bake_seconds=3600, release=None), RULES)  # its parent has counted
    with pytest.raises(InvalidInputError, match=r"add up to 22680 s in 3 stages, a release may take 10800 s"):
        check_time(asked(bake_seconds=3600), RULES)


def test_times_are_compared_while_the_stable_is_loaded_as_the_canary_is() -> None:
    assert [compares_times(plan(number)) for number in (1, 2, 3)] == [True, True, False]
    whole = plan().model_copy(update={"stages": [100], "stage": Stage(number=1, weight=100, pause=False, last=True)})
    assert compares_times(whole)  # else nothing would be said of its times at all
