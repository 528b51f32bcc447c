"""What was said while nothing, or one thing, was wrong: each spell once, and nothing that is well."""

from __future__ import annotations

from dataclasses import replace

from sandbox.region import RuleChange
from sandbox.scenarios import busy_not_dead, gray_failure, healthy_traffic
from sandbox.verdicts import ASSESSMENT, WATCH, Written, spells, written_in
from standfast.checks import Check, Checked, CheckName
from standfast.health import Verdict
from tests.builders import ACTIVE, NOW, STANDBY, assessment, view

HEALTHY, DEGRADED, UNHEALTHY = Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY


def written(at: float, verdict: Verdict, cluster_id: str = ACTIVE, source: str = WATCH) -> Written:
    return Written(cluster_id, source, verdict, f"said at {at:g}", at, at)


def test_a_spell_is_told_once_with_its_length_and_its_first_reason() -> None:
    (found,) = spells([written(1, HEALTHY), written(2, DEGRADED), written(7, DEGRADED), written(9, HEALTHY)])
    assert str(found) == f"the watch said {ACTIVE} degraded for 5 s: said at 2"


def test_spells_are_told_apart_by_cluster_source_and_verdict() -> None:
    found = spells(
        [
            written(1, DEGRADED),
            written(2, DEGRADED, STANDBY),
            written(3, DEGRADED, source=ASSESSMENT),
            written(4, UNHEALTHY),
            written(5, HEALTHY),
            written(6, UNHEALTHY),
        ]
    )
    assert [each.at for each in found] == [1, 2, 3, 4, 6]


def test_unknown_is_not_healthy_either() -> None:
    assert len(spells([written(1, Verdict.UNKNOWN)])) == 1
    assert spells([written(1, HEALTHY), written(2, HEALTHY, source=ASSESSMENT)]) == []


def checked(*checks: Check, at: float = NOW) -> Checked:
    return Checked(ACTIVE, DEGRADED, "the worst of it", checks, at)


def test_what_stands_in_the_table_is_the_watchs_and_the_assessments() -> None:
    known = replace(view(assessments={ACTIVE: assessment()}), checks={ACTIVE: checked(at=NOW + 3)})
    assert [(each.source, each.verdict, each.at) for each in written_in(known)] == [
        (WATCH, HEALTHY, NOW),
        (ASSESSMENT, DEGRADED, NOW + 3),
    ]


# gray-failure: which of the verdicts is the fault's


def test_only_a_bad_verdict_in_the_faults_own_words_since_the_fault_counts() -> None:
    late = Check(CheckName.LATENCY, DEGRADED, "i-4:8000 is apart")
    unknown = Check(CheckName.ERRORS, Verdict.UNKNOWN, "is apart from what can be counted")
    known = replace(view(assessments={ACTIVE: assessment()}), checks={ACTIVE: checked(unknown, late)})
    assert gray_failure.said_of(known, ACTIVE, ("is apart",), NOW) == ("degraded (latency)", "i-4:8000 is apart")
    assert gray_failure.said_of(known, ACTIVE, ("golden",), NOW) is None
    assert gray_failure.said_of(known, ACTIVE, ("is apart",), NOW + 1) is None
    assert gray_failure.said_of(known, STANDBY, ("is apart",), NOW) is None
    assert gray_failure.said_of(known, ACTIVE, ("as built",), NOW) is None  # by a verdict that is healthy


def test_a_minute_in_which_engines_were_restarted_is_not_the_faults() -> None:
    errors, *others = gray_failure.FAULTS
    assert errors.name == "20 % errors of all"
    assert (errors.counts_from(120.0), errors.counts_from(130.0), errors.counts_from(179.9)) == (240.0, 240.0, 240.0)
    assert {fault.counts_from(130.0) for fault in others} == {130.0}


def test_the_watchs_word_comes_before_the_assessments() -> None:
    watched = assessment(verdict=DEGRADED, reason="3 of 4 replicas pass; golden")
    known = replace(
        view(assessments={ACTIVE: watched}), checks={ACTIVE: checked(Check(CheckName.MODEL, DEGRADED, "golden"))}
    )
    assert gray_failure.said_of(known, ACTIVE, ("golden",), NOW) == ("degraded (watch)", watched.reason)


# busy-not-dead: shedding is no move


def test_what_is_shed_moves_no_traffic_between_clusters() -> None:
    before = {ACTIVE: 100, STANDBY: 0, "shed": 0}
    shed = RuleChange(1.0, {ACTIVE: 100, STANDBY: 0, "shed": 25})
    moved = RuleChange(2.0, {ACTIVE: 0, STANDBY: 100, "shed": 0})
    assert busy_not_dead.moves_between_clusters(before, [shed]) == 0
    assert busy_not_dead.moves_between_clusters(before, [shed, moved, shed]) == 2
    assert busy_not_dead.moves_between_clusters(before, []) == 0


def test_a_busy_cluster_may_be_called_degraded_and_never_dead() -> None:
    heard = [written(1, DEGRADED), written(2, HEALTHY), written(3, HEALTHY, STANDBY)]
    assert busy_not_dead.false_verdicts(heard, ACTIVE) == []
    assert len(busy_not_dead.false_verdicts([*heard, written(4, UNHEALTHY)], ACTIVE)) == 1
    assert len(busy_not_dead.false_verdicts([*heard, written(4, DEGRADED, STANDBY)], ACTIVE)) == 1


# healthy-traffic

WELL = {
    "false_verdicts": 0,
    "weight_changes": 0,
    "failovers_started": 0,
    "pages": 0,
    "shed_requests": 0,
    "requests": 9000,
    "failed_requests": 1,
    "verdicts_of_the_watch": 300,
    "verdicts_of_assessments": 40,
}


def test_where_nothing_was_wrong_everything_that_was_said_or_done_is_a_complaint() -> None:
    assert healthy_traffic.complaints(WELL) == []
    for key in ("false_verdicts", "weight_changes", "failovers_started", "pages", "shed_requests"):
        assert healthy_traffic.complaints({**WELL, key: 1}) == [f"{key} is 1"]


def test_traffic_that_fails_or_nobody_who_looks_proves_nothing() -> None:
    assert healthy_traffic.complaints({**WELL, "failed_requests": 10}) == [
        "10 of 9000 requests failed: that was no healthy traffic"
    ]
    assert healthy_traffic.complaints({**WELL, "verdicts_of_assessments": 0}) == ["no verdict was heard"]
