"""Switchover and failback: who may begin, where to, what a stage comes to, and what becomes of what is given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.brake import Override
from standfast.checks import Check, Checked, CheckName
from standfast.errors import AutomationOffError, InvalidInputError, NoStandbyProvenError, UnknownClusterError
from standfast.failover import Proof, unfinished
from standfast.fleet import Automation, Role
from standfast.health import Assessment, Outcome, Verdict
from standfast.move_judgement import (
    PATIENCE_SECONDS,
    SettleAction,
    StageAction,
    decide_abort,
    decide_settle,
    judge_pause,
    judge_stage,
)
from standfast.planned_move import admit, choose, decide_failback, roles_after, weights_at
from standfast.traffic import Desired, Move, check_weights
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY, assessment, brake, desired, fleet, probes, record, view

MOVE = Move(ACTIVE, STANDBY, {ACTIVE: 100, STANDBY: 0})
FRESH = 10.0
REGION = fleet().region(SCOPE)
WELL = {ACTIVE: assessment(ACTIVE), STANDBY: assessment(STANDBY)}


def half_way(weight: int = 50) -> Desired:
    return replace(desired({ACTIVE: 100 - weight, STANDBY: weight}), move=MOVE)


def begin(mode: str = "switchover", to: str | None = None, **known: Any) -> Any:
    scope = known.pop("scope", record())
    switches = known.pop("switches", brake())
    found = view(scope, assessments=known.pop("assessments", WELL))
    return admit(mode, to, found, switches, REGION, NOW, known.pop("override", None))


def test_a_switchover_from_a_cluster_that_serves_may_begin() -> None:
    found = begin()
    assert (found.source, found.target, found.may_change) == (ACTIVE, None, True)


def test_a_failback_goes_to_the_cluster_that_the_configuration_calls_active() -> None:
    away = desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    found = begin("failback", scope=record(away))
    assert (found.source, found.target) == (STANDBY, ACTIVE)


def test_a_failback_waits_for_its_hold_down_and_says_how_long() -> None:
    away = desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    with pytest.raises(InvalidInputError, match=r"the last move is 600 s ago.*try again in 1200 s"):
        begin("failback", scope=record(replace(away, moved_at=NOW - 600)))


def test_what_failed_takes_no_planned_traffic_before_it_is_readmitted() -> None:
    away = desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    with pytest.raises(InvalidInputError, match="is quarantined; mend it, then invoke the readmit-cluster"):
        begin("failback", scope=record(away))


def test_a_dead_source_is_no_case_for_a_planned_move() -> None:
    dead = {**WELL, ACTIVE: assessment(ACTIVE, Verdict.UNHEALTHY)}
    with pytest.raises(InvalidInputError, match="start it with mode failover"):
        begin(assessments=dead)


@pytest.mark.parametrize(
    "known", [{}, {ACTIVE: assessment(ACTIVE, Verdict.UNKNOWN)}, {ACTIVE: assessment(assessed_at=NOW - 11)}]
)
def test_a_source_that_nobody_has_judged_of_late_is_not_left_as_planned(known: dict[str, Assessment]) -> None:
    with pytest.raises(InvalidInputError, match="no fresh verdict"):
        begin(assessments=known)


def test_the_switch_holds_a_planned_move_back_or_refuses_it() -> None:
    found = begin(switches=brake(Automation.OBSERVE))
    assert not found.may_change
    assert "the switch says observe" in found.held_back
    with pytest.raises(AutomationOffError, match="the switch is off"):
        begin(switches=brake(Automation.OFF))


def test_a_cluster_s_own_switch_holds_a_planned_move_from_or_to_it() -> None:
    for held in (brake(use1_a=Automation.OBSERVE), brake(use1_b=Automation.OBSERVE)):
        assert not begin(to=STANDBY, switches=held).may_change
    why_not = brake(use1_b=Automation.OBSERVE).held(REGION.clusters)
    with pytest.raises(NoStandbyProvenError, match="the switch says observe"):
        choose(ACTIVE, None, [proof()], desired(), REGION.clusters, FRESH, NOW, held=why_not)


def test_somebody_may_break_the_glass_for_a_planned_move() -> None:
    assert begin(switches=brake(Automation.OFF), override=Override("ada", "the driver must go in tonight")).may_change


def test_an_unknown_target_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownClusterError, match=f"this Region has {ACTIVE}, {STANDBY}"):
        begin(to="use1-z")


def proof(answered: int = 2, verdict: Verdict = Verdict.HEALTHY, **more: Any) -> Proof:
    return Proof(STANDBY, answered, more.pop("failure", ""), verdict, "as built", NOW, **more)


def test_a_planned_move_goes_to_a_cluster_that_is_proven_whole() -> None:
    chosen = choose(ACTIVE, None, [proof()], desired(), REGION.clusters, FRESH, NOW, held={})
    assert (chosen.cluster_id, chosen.reason) == (
        STANDBY,
        f"{STANDBY} is proven: 2 of 2 replicas answered a canary just now",
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (proof(1, failure="connection refused"), "1 of 2 replicas answered a canary just now: connection refused"),
        (proof(verdict=Verdict.DEGRADED), "the watch found it degraded: as built; nothing is urgent"),
        (proof(nodes="its nodes have not reported"), "its nodes have not reported"),
    ],
)
def test_what_would_do_for_a_failover_does_not_do_for_a_planned_move(found: Proof, words: str) -> None:
    with pytest.raises(NoStandbyProvenError, match=words):
        choose(ACTIVE, STANDBY, [found], desired(), REGION.clusters, FRESH, NOW, held={})


@given(stage=st.integers(1, 100))
def test_every_stage_serves(stage: int) -> None:
    weights = weights_at(stage, MOVE, [ACTIVE, STANDBY, "use1-c"])
    assert check_weights(weights) == {ACTIVE: 100 - stage, STANDBY: stage, "use1-c": 0}


def judged(target: Assessment | None, *entry: Outcome, baked: float = 120.0, checked: Checked | None = None) -> Any:
    return judge_stage(
        target,
        checked,
        probes(*(entry or [Outcome.ANSWERED] * 3)),
        shifted_at=NOW - baked,
        bake_seconds=120,
        fresh_seconds=FRESH,
        now=NOW,
    )


def test_a_stage_that_is_good_passes_once_it_has_baked() -> None:
    assert judged(WELL[STANDBY], baked=60).action is StageAction.WAIT
    assert judged(WELL[STANDBY], baked=60).reason == "good after 60 s of 120 s"
    assert judged(WELL[STANDBY]).action is StageAction.PASS


def saturated() -> Assessment:
    return replace(assessment(STANDBY, Verdict.DEGRADED), saturated=2)


def unhealthy(at: float = NOW) -> Checked:
    checks = tuple(Check(name, Verdict.UNHEALTHY, "errors") for name in CheckName)
    return Checked(STANDBY, Verdict.UNHEALTHY, "40 % of the answers are errors", checks, at)


@pytest.mark.parametrize(
    ("target", "entry", "checked", "words"),
    [
        (assessment(STANDBY, Verdict.UNHEALTHY), (), None, "use1-b is dead"),
        (saturated(), (), None, "saturated: 2 of 4 replicas answer too late; the traffic does not fit"),
        (WELL[STANDBY], (Outcome.BAD_STATUS,) * 3, None, "3 of 3 canaries through the entry failed"),
        (WELL[STANDBY], (), unhealthy(), "the assessment finds use1-b unhealthy: 40 % of the answers are errors"),
    ],
)
def test_what_is_bad_aborts_at_once(
    target: Assessment, entry: tuple[Outcome, ...], checked: Checked | None, words: str
) -> None:
    found = judged(target, *entry, baked=5, checked=checked)
    assert found.action is StageAction.ABORT
    assert words in found.reason


@pytest.mark.parametrize(
    ("target", "entry"),
    [
        (None, ()),
        (assessment(STANDBY, Verdict.UNKNOWN), ()),
        (assessment(STANDBY, Verdict.DEGRADED), ()),
        (assessment(STANDBY, assessed_at=NOW - 11), ()),
        (WELL[STANDBY], (Outcome.ANSWERED, Outcome.TIMED_OUT, Outcome.ANSWERED)),
    ],
)
def test_what_is_not_known_or_not_good_yet_waits_and_aborts_in_the_end(
    target: Assessment | None, entry: tuple[Outcome, ...]
) -> None:
    assert judged(target, *entry).action is StageAction.WAIT
    late = judged(target, *entry, baked=120 + PATIENCE_SECONDS)
    assert late.action is StageAction.ABORT
    assert "not good 60 s after its bake" in late.reason


def test_an_assessment_of_before_the_shift_says_nothing_of_the_stage() -> None:
    assert judged(WELL[STANDBY], baked=120, checked=unhealthy(NOW - 121)).action is StageAction.PASS


def test_an_entry_that_sheds_answers() -> None:
    assert judged(WELL[STANDBY], Outcome.SHED, Outcome.SHED, Outcome.SHED).action is StageAction.PASS


def paused(target: Assessment | None, *, is_over: bool = False) -> StageAction:
    found = judge_pause(target, None, is_over=is_over, asked_at=NOW - 30, fresh_seconds=FRESH, now=NOW)
    return found.action


def test_a_pause_ends_with_its_question_or_with_its_target() -> None:
    assert paused(WELL[STANDBY]) is StageAction.WAIT
    assert paused(None) is StageAction.WAIT
    assert paused(assessment(STANDBY, Verdict.UNHEALTHY)) is StageAction.ABORT
    assert paused(WELL[STANDBY], is_over=True) is StageAction.PASS


def test_an_abort_restores_the_weights_of_before_while_the_source_serves() -> None:
    found = decide_abort(MOVE, half_way(), {ACTIVE: assessment(ACTIVE, Verdict.DEGRADED)}, FRESH, NOW)
    assert found.weights == MOVE.before
    assert "the weights of before are restored" in found.reason


def test_traffic_never_goes_back_to_a_source_that_died_meanwhile() -> None:
    dead = {**WELL, ACTIVE: assessment(ACTIVE, Verdict.UNHEALTHY)}
    found = decide_abort(MOVE, half_way(), dead, FRESH, NOW)
    assert found.weights == {ACTIVE: 0, STANDBY: 100}
    assert "died meanwhile" in found.reason


@pytest.mark.parametrize("source", [assessment(ACTIVE, Verdict.UNHEALTHY), assessment(ACTIVE, Verdict.UNKNOWN), None])
def test_with_nothing_proven_the_weights_stay(source: Assessment | None) -> None:
    known = {STANDBY: assessment(STANDBY, Verdict.UNHEALTHY), **({ACTIVE: source} if source else {})}
    found = decide_abort(MOVE, half_way(), known, FRESH, NOW)
    assert found.weights is None
    assert "the weights stay as they are" in found.reason


VERDICTS = st.sampled_from(Verdict)


@given(source=VERDICTS, target=VERDICTS, weight=st.integers(1, 100), age=st.floats(0, 30))
def test_whatever_is_given_up_traffic_goes_only_to_what_is_proven(
    source: Verdict, target: Verdict, weight: int, age: float
) -> None:
    known = {
        ACTIVE: assessment(ACTIVE, source, assessed_at=NOW - age),
        STANDBY: assessment(STANDBY, target, assessed_at=NOW - age),
    }
    found = decide_abort(MOVE, half_way(weight), known, FRESH, NOW)
    if found.weights is not None:
        check_weights(found.weights)
        (gets,) = [name for name, share in found.weights.items() if share]
        assert known[gets].verdict in (Verdict.HEALTHY, Verdict.DEGRADED)
        assert age <= FRESH
    settled = decide_settle(half_way(weight), known, FRESH, NOW)
    assert settled.action is not SettleAction.UNDO or found.weights == MOVE.before
    served = target in (Verdict.HEALTHY, Verdict.DEGRADED) and age <= FRESH
    assert settled.action is not SettleAction.FINISH or (weight == 100 and served)


def test_a_move_that_nobody_holds_any_more_is_finished_when_only_the_roles_are_missing() -> None:
    assert decide_settle(half_way(100), WELL, FRESH, NOW).action is SettleAction.FINISH
    assert decide_settle(half_way(50), WELL, FRESH, NOW).action is SettleAction.UNDO
    assert decide_settle(desired(), WELL, FRESH, NOW).action is SettleAction.NONE


def test_a_planned_move_at_its_end_is_not_taken_for_a_failover_that_broke_off() -> None:
    """Else its source, which is well, would be called failed."""
    assert unfinished(half_way(100)) is None
    assert unfinished(replace(half_way(100), move=None)) is not None


def test_the_source_of_a_planned_move_stands_by() -> None:
    assert roles_after(half_way(100), ACTIVE, STANDBY) == {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}


def test_a_source_that_was_quarantined_meanwhile_stays_so() -> None:
    failed = replace(half_way(100), roles={ACTIVE: Role.QUARANTINED, STANDBY: Role.STANDBY})
    assert roles_after(failed, ACTIVE, STANDBY)[ACTIVE] is Role.QUARANTINED


def test_a_new_active_cluster_begins_the_hold_down_and_other_changes_do_not() -> None:
    state = desired()
    assert state.next(token=4, reason="", now=NOW, weights={ACTIVE: 90, STANDBY: 10}).moved_at == state.moved_at
    swapped = {ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert state.next(token=4, reason="", now=NOW, roles=swapped).moved_at == NOW


def test_a_move_is_remembered_until_it_is_ended() -> None:
    begun = desired().next(token=4, reason="", now=NOW, weights={ACTIVE: 90, STANDBY: 10}, move=MOVE)
    assert begun.next(token=4, reason="shed", now=NOW, weights={ACTIVE: 90, STANDBY: 10, "shed": 20}).move == MOVE
    assert begun.next(token=5, reason="failover", now=NOW, weights={STANDBY: 100}, ends_move=True).move is None


def away(moved_seconds_ago: float = 1800, mended: Role = Role.STANDBY) -> Desired:
    moved = desired({ACTIVE: 0, STANDBY: 100}, {ACTIVE: mended, STANDBY: Role.ACTIVE})
    return replace(moved, moved_at=NOW - moved_seconds_ago, updated_at=NOW - moved_seconds_ago)


def failback(state: Desired, automation: Automation = Automation.RUN, **moves: Any) -> str:
    config = fleet(moves={"automatic_failback": True, **moves})
    found = view(record(state), config=config, assessments=WELL)
    return decide_failback(SCOPE, found, brake(automation), NOW).execution_name


def test_a_failback_starts_by_itself_once_where_that_is_wanted() -> None:
    assert failback(away()) == f"{SCOPE}-failback-v7"
    assert not failback(away(), automatic_failback=False)


def test_a_failback_in_its_hold_down_says_when_that_is_over() -> None:
    config = fleet(moves={"automatic_failback": True})
    found = view(record(away(1799)), config=config, assessments=WELL)
    assert decide_failback(SCOPE, found, brake(), NOW).next_change_at == NOW + 1


@pytest.mark.parametrize(
    "state",
    [
        desired(),
        away(1799),
        away(mended=Role.QUARANTINED),
        replace(away(), updated_at=NOW - 60),
        replace(away(), move=MOVE),
    ],
)
def test_a_failback_does_not_start_by_itself_before_its_time(state: Desired) -> None:
    assert not failback(state)


def test_a_failback_does_not_start_by_itself_while_the_switch_does_not_say_run() -> None:
    assert not failback(away(), Automation.OBSERVE)
