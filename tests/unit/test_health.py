"""From probes to verdicts, with the sentences that an on-caller reads."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.health import (
    EndpointProbe,
    Evidence,
    Outcome,
    Verdict,
    assess,
    judge_entry,
    judge_replica,
)
from standfast.health_rules import Detection
from tests.builders import ACTIVE, NOW, limits, probe, probes

ANSWERED, SLOW, REFUSED, TIMED_OUT = Outcome.ANSWERED, Outcome.SLOW, Outcome.REFUSED, Outcome.TIMED_OUT
GOOD = probes(ANSWERED, ANSWERED, ANSWERED)
DEAD = probes(ANSWERED, REFUSED, REFUSED, REFUSED)


# One replica


def test_an_answered_canary_is_healthy() -> None:
    judged = judge_replica(GOOD, limits(), NOW)
    assert (judged.verdict, judged.reason, judged.since) == (Verdict.HEALTHY, "the canary was answered", None)


def test_no_probe_is_unknown() -> None:
    judged = judge_replica([], limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.UNKNOWN, "no probe ended in the last 10 s")


@pytest.mark.parametrize("history", [GOOD, DEAD], ids=["answered", "refused"])
def test_old_probes_prove_nothing(history: list[EndpointProbe]) -> None:
    assert judge_replica(history, limits(), NOW + 30).verdict is Verdict.UNKNOWN


def late(times: int) -> list[EndpointProbe]:
    """So many late answers after good ones, one a second."""
    return [*GOOD, *(probe(SLOW, at=NOW - times + number, took=1.234) for number in range(times))]


def test_first_tokens_that_keep_coming_late_are_degraded_and_the_time_is_said() -> None:
    judged = judge_replica(late(3), limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.DEGRADED, "the first token came late after 1.23 s")


@pytest.mark.parametrize("times", [1, 2])
def test_a_stall_is_said_and_degrades_nothing(times: int) -> None:
    """The probe that meets it is late, and the one that is asked again beside it."""
    judged = judge_replica(late(times), limits(), NOW)
    assert (judged.verdict, judged.late) == (Verdict.HEALTHY, True)
    assert judged.reason == "the canary was answered, late this time after 1.23 s"


def test_a_canary_that_is_not_answered_in_time_once_degrades_nothing() -> None:
    judged = judge_replica(probes(ANSWERED, ANSWERED, TIMED_OUT), limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.HEALTHY, "1 of 3 probes failed: no whole answer in time")


def test_lateness_of_either_kind_counts() -> None:
    assert judge_replica(probes(SLOW, ANSWERED, SLOW, TIMED_OUT), limits(), NOW).verdict is Verdict.DEGRADED
    assert judge_replica(probes(SLOW, ANSWERED, ANSWERED, TIMED_OUT), limits(), NOW).verdict is Verdict.HEALTHY


def test_failures_below_the_limit_are_degraded_and_counted() -> None:
    judged = judge_replica(probes(ANSWERED, REFUSED, REFUSED), limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.DEGRADED, "2 of 3 probes failed: connection refused")
    assert judged.since == NOW - 2


def test_enough_failures_in_a_row_are_unhealthy_since_the_first_of_them() -> None:
    judged = judge_replica(DEAD, limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.UNHEALTHY, "3 of 3 probes failed: connection refused")
    assert judged.since == NOW - 3


def test_more_failures_than_wanted_are_not_counted_beyond_the_limit() -> None:
    judged = judge_replica(probes(*[REFUSED] * 5), limits(), NOW)
    assert judged.reason == "3 of 3 probes failed: connection refused"


def test_the_detail_of_the_last_failure_is_said() -> None:
    history = [probe(Outcome.BAD_STATUS, at=NOW - 3 + second, detail="502") for second in range(3)]
    assert judge_replica(history, limits(), NOW).reason == "3 of 3 probes failed: an error status (502)"


def test_one_answer_between_failures_begins_the_count_anew() -> None:
    history = probes(REFUSED, REFUSED, ANSWERED, REFUSED, REFUSED)
    assert judge_replica(history, limits(), NOW).verdict is Verdict.DEGRADED


def test_an_answer_heals_at_once() -> None:
    assert judge_replica([*DEAD, probe(at=NOW - 0.5)], limits(), NOW).verdict is Verdict.HEALTHY


def test_a_slow_engine_whose_counter_moves_is_saturated_and_not_dead() -> None:
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, 400.0, 512.0])
    judged = judge_replica(history, limits(), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason == (
        "saturated, not dead: 3 of 3 probes failed: no whole answer in time, but 112 steps of work were made meanwhile"
    )
    assert judged.saturated


def test_saturated_replicas_are_counted_and_others_are_not() -> None:
    busy = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, 400.0, 512.0])
    wedged = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, 512.0, 512.0])
    evidence = Evidence({"r0": busy, "r1": busy, "r2": wedged, "r3": [probe(at=NOW - 0.5)]}, [probe(at=NOW - 0.5)])
    assessed = assess(ACTIVE, evidence, 4, limits(), NOW)
    assert (assessed.saturated, assessed.passing, assessed.verdict) == (2, 3, Verdict.DEGRADED)
    assert assessed.late == 2
    once = Evidence({"r0": probes(TIMED_OUT), "r1": probes(SLOW), "r2": probes(ANSWERED)}, probes(ANSWERED))
    assessed = assess(ACTIVE, once, 3, limits(), NOW)
    assert (assessed.saturated, assessed.late) == (0, 2)


def test_an_engine_whose_counter_stands_still_is_wedged() -> None:
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, 512.0, 512.0])
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


@pytest.mark.parametrize("progress", [[None, None, None], [512.0, None, None], [512.0, 512.0, None]])
def test_an_engine_that_does_not_even_say_its_counter_is_dead(progress: list[float | None]) -> None:
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=progress)
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


def test_a_cache_that_fills_is_progress() -> None:
    judged = judge_replica(probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, 40.2, 40.3]), limits(), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason.endswith("but its cache filled further meanwhile")


def test_an_engine_that_moved_and_was_then_too_busy_to_say_so_is_saturated() -> None:
    """Seen under ten times the load that it can carry: its page of metrics waits as its answers do."""
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[400.0, 512.0, None])
    judged = judge_replica(history, limits(), NOW)
    assert (judged.verdict, judged.saturated) == (Verdict.DEGRADED, True)
    history = probes(*[TIMED_OUT] * 4, progress=[400.0, 512.0, None, None])
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


def test_a_counter_read_once_only_tells_nothing_yet() -> None:
    """Whether the engine is wedged or saturated is known with the second reading: a time-out alone never says dead."""
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[None, None, 512.0])
    judged = judge_replica(history, limits(), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason == (
        "3 of 3 probes failed: no whole answer in time; its counter was read once, so saturated and wedged look alike"
    )


def test_progress_before_the_last_probes_does_not_hide_a_wedge() -> None:
    """It was saturated, then it wedged: only what moved during the failures that count says that it lives."""
    history = probes(*[TIMED_OUT] * 6, progress=[None, 100.0, 200.0, 300.0, 300.0, 300.0])
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


def test_engines_that_refuse_our_key_are_unknown_and_never_dead() -> None:
    """A key that was rotated is no reason to leave a cluster that serves its users."""
    denied = probes(*[Outcome.DENIED] * 6)
    judged = judge_replica(denied, limits(), NOW)
    assert (judged.verdict, judged.reason.partition(":")[0]) == (Verdict.UNKNOWN, "the API key is refused")
    refused = Evidence({"r0": denied, "r1": denied}, denied)
    assert assess(ACTIVE, refused, 2, limits(), NOW).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("outcome", [Outcome.WRONG_MODEL, Outcome.BAD_ANSWER, Outcome.REFUSED])
def test_progress_does_not_excuse_wrong_answers(outcome: Outcome) -> None:
    """An engine that serves another model is busy too: its counter moves with every wrong answer."""
    history = probes(outcome, outcome, outcome, progress=[1.0, 2.0, 3.0])
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


def test_a_counter_that_begins_anew_is_no_progress() -> None:
    history = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT, progress=[900.0, 900.0, 3.0])
    assert judge_replica(history, limits(), NOW).verdict is Verdict.UNHEALTHY


# The entry


def test_the_entry_needs_its_own_number_of_failures() -> None:
    once = judge_entry(probes(ANSWERED, TIMED_OUT), limits(), NOW)
    assert (once.verdict, once.reason) == (
        Verdict.DEGRADED,
        "through the entry 1 probe failed: no whole answer in time",
    )
    twice = judge_entry(probes(ANSWERED, TIMED_OUT, TIMED_OUT), limits(), NOW)
    assert twice.verdict is Verdict.UNHEALTHY
    assert twice.since == NOW - 2


def test_an_entry_that_was_not_asked_is_unknown() -> None:
    judged = judge_entry([], limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.UNKNOWN, "no probe through the entry ended in the last 10 s")


# A cluster


def evidence(
    *replicas: Sequence[EndpointProbe], entry: Sequence[EndpointProbe] = GOOD, controls_pass: bool = True
) -> Evidence:
    return Evidence({f"r{number}": history for number, history in enumerate(replicas)}, entry, controls_pass)


def test_all_replicas_and_the_entry_answering_is_healthy() -> None:
    judged = assess(ACTIVE, evidence(GOOD, GOOD, GOOD, GOOD), 4, limits(), NOW)
    assert (judged.verdict, judged.reason) == (Verdict.HEALTHY, "4 of 4 replicas pass; the entry answers for it")
    assert (judged.passing, judged.expected, judged.since) == (4, 4, None)


def test_dead_on_both_paths_is_unhealthy_and_says_both() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, DEAD, GOOD, entry=DEAD), 4, limits(), NOW)
    assert judged.verdict is Verdict.UNHEALTHY
    assert judged.reason == (
        "1 of 4 replicas pass; 3 of 3 probes failed: connection refused; "
        "through the entry 3 probes failed: connection refused"
    )
    assert judged.since == NOW - 3


def test_half_of_the_replicas_is_not_dead() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, GOOD, GOOD, entry=DEAD), 4, limits(), NOW)
    assert (judged.verdict, judged.passing) == (Verdict.DEGRADED, 2)


def test_one_bad_replica_of_four_is_mended_in_place() -> None:
    judged = assess(ACTIVE, evidence(DEAD, GOOD, GOOD, GOOD), 4, limits(), NOW)
    assert (judged.verdict, judged.reason) == (
        Verdict.DEGRADED,
        "3 of 4 replicas pass; 3 of 3 probes failed: connection refused",
    )


def test_dead_replicas_with_an_entry_that_answers_is_not_dead() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, DEAD, DEAD), 4, limits(), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason.endswith("but not dead on both paths: the entry answers for it")


def test_an_entry_that_fails_alone_is_not_a_dead_cluster() -> None:
    judged = assess(ACTIVE, evidence(GOOD, GOOD, GOOD, GOOD, entry=DEAD), 4, limits(), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason == "4 of 4 replicas pass directly, but through the entry 3 probes failed: connection refused"


def test_replicas_that_are_not_registered_do_not_pass() -> None:
    judged = assess(ACTIVE, evidence(GOOD, GOOD), 4, limits(), NOW)
    assert (judged.verdict, judged.reason, judged.expected) == (Verdict.DEGRADED, "2 of 4 replicas pass", 4)


def test_no_registered_replica_and_a_failing_entry_is_dead_since_the_entry_failed() -> None:
    judged = assess(ACTIVE, evidence(entry=DEAD), 4, limits(), NOW)
    assert (judged.verdict, judged.since) == (Verdict.UNHEALTHY, NOW - 3)


def test_more_replicas_than_configured_raise_what_is_expected() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, GOOD, entry=DEAD), 2, limits(), NOW)
    assert (judged.verdict, judged.expected) == (Verdict.UNHEALTHY, 3)


def test_unknown_replicas_keep_a_cluster_from_being_dead() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, [], [], entry=DEAD), 4, limits(), NOW)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.reason == "0 of 4 replicas pass; 3 of 3 probes failed: connection refused and 2 cannot be judged"


def test_a_blind_vantage_point_abstains() -> None:
    judged = assess(ACTIVE, evidence(DEAD, DEAD, DEAD, DEAD, entry=DEAD, controls_pass=False), 4, limits(), NOW)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.reason == "this vantage point is blind: its control probes fail too; 0 of 4 replicas pass"


def test_slow_replicas_degrade_the_cluster() -> None:
    judged = assess(ACTIVE, evidence(late(3), GOOD, GOOD, GOOD), 4, limits(), NOW)
    assert judged.reason == "4 of 4 replicas pass, 1 of them degraded: the first token came late after 1.23 s"


# Laws


@st.composite
def histories(draw: st.DrawFn) -> list[EndpointProbe]:
    """Up to a dozen probes, ended up to 20 s ago, oldest first."""
    ages = sorted(draw(st.lists(st.floats(0.0, 20.0), max_size=12)), reverse=True)
    return [
        EndpointProbe(
            started_at=NOW - age - 0.5,
            ended_at=NOW - age,
            outcome=draw(st.sampled_from(Outcome)),
            progress=draw(st.none() | st.floats(0, 1000)),
        )
        for age in ages
    ]


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    replicas = {f"r{number}": draw(histories()) for number in range(draw(st.integers(0, 5)))}
    return Evidence(replicas, draw(histories()), draw(st.booleans()))


def detections() -> st.SearchStrategy[Detection]:
    return st.builds(
        lambda direct, entry: limits(failures=direct, entry_failures=entry), st.integers(2, 5), st.integers(1, 4)
    )


@given(evidences(), st.integers(1, 6), detections())
def test_no_cluster_is_unhealthy_unless_both_paths_failed(seen: Evidence, expected: int, limit: Detection) -> None:
    if assess(ACTIVE, seen, expected, limit, NOW).verdict is not Verdict.UNHEALTHY:
        return
    fresh = [probe for probe in seen.entry if NOW - probe.ended_at <= limit.fresh_seconds]
    assert len(fresh) >= limit.entry_failures
    assert not any(probe.passed for probe in fresh[-limit.entry_failures :])
    dead = [judge_replica(history, limit, NOW).verdict is Verdict.UNHEALTHY for history in seen.replicas.values()]
    wanted = max(expected, len(dead))
    assert 2 * (len(dead) - sum(dead)) < wanted


@given(evidences(), st.integers(1, 6), detections())
def test_a_blind_vantage_point_never_says_unhealthy(seen: Evidence, expected: int, limit: Detection) -> None:
    blind = Evidence(seen.replicas, seen.entry, controls_pass=False)
    assert assess(ACTIVE, blind, expected, limit, NOW).verdict is not Verdict.UNHEALTHY


@given(evidences(), st.integers(1, 6), st.floats(0, 1e6))
def test_missing_evidence_never_becomes_unhealthy(seen: Evidence, expected: int, later: float) -> None:
    """What is too old says nothing, whatever it said; and replicas that nobody asked hold the verdict back."""
    latest = max(
        (probe.ended_at for history in [*seen.replicas.values(), seen.entry] for probe in history), default=NOW
    )
    stale = assess(ACTIVE, seen, expected, limits(), latest + limits().fresh_seconds + 0.001 + later)
    assert stale.verdict is not Verdict.UNHEALTHY
    nobody_asked = Evidence(dict.fromkeys(seen.replicas or ["r0"], ()), seen.entry, seen.controls_pass)
    assert assess(ACTIVE, nobody_asked, len(nobody_asked.replicas), limits(), NOW).verdict is not Verdict.UNHEALTHY


@given(
    st.lists(st.floats(0, 1e6), min_size=3, max_size=12),
    st.sampled_from([Outcome.TIMED_OUT, Outcome.BAD_STATUS]),
    st.integers(2, 3),
)
def test_a_counter_that_moves_means_saturated_and_never_dead(
    steps: list[float], outcome: Outcome, failures: int
) -> None:
    counter = [float(sum(int(step) + 1 for step in steps[: number + 1])) for number in range(len(steps))]
    history = probes(*[outcome] * min(len(steps), 9), progress=counter[:9])
    judged = judge_replica(history, limits(failures=failures), NOW)
    assert judged.verdict is Verdict.DEGRADED
    assert judged.reason.startswith("saturated, not dead")


SHED = Outcome.SHED


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ((SHED, SHED, SHED), Verdict.DEGRADED),
        ((TIMED_OUT, TIMED_OUT, SHED), Verdict.DEGRADED),
        ((TIMED_OUT, SHED, TIMED_OUT), Verdict.DEGRADED),
        ((SHED, TIMED_OUT, TIMED_OUT), Verdict.UNHEALTHY),
        ((SHED, ANSWERED), Verdict.HEALTHY),
    ],
)
def test_an_entry_that_sheds_overload_answers(outcomes: tuple[Outcome, ...], verdict: Verdict) -> None:
    assert judge_entry(probes(*outcomes), limits(), NOW).verdict is verdict


@pytest.mark.parametrize("progress", [[None, 5.0, 5.0], [None, 5.0, 9.0]])
def test_a_replica_that_only_sheds_by_itself_does_not_answer(progress: list[float | None]) -> None:
    assert judge_replica(probes(SHED, SHED, SHED, progress=progress), limits(), NOW).verdict is Verdict.UNHEALTHY


def test_the_same_replica_is_quoted_whatever_the_order() -> None:
    wedged = probes(TIMED_OUT, TIMED_OUT, TIMED_OUT)
    one = assess(ACTIVE, Evidence({"r0": DEAD, "r1": wedged}, DEAD), 2, limits(), NOW)
    other = assess(ACTIVE, Evidence({"r1": wedged, "r0": DEAD}, DEAD), 2, limits(), NOW)
    assert one == other


@given(evidences(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_the_replicas_does_not_matter(seen: Evidence, expected: int, chance: random.Random) -> None:
    names = list(seen.replicas)
    chance.shuffle(names)
    shuffled = Evidence({name: seen.replicas[name] for name in names}, seen.entry, seen.controls_pass)
    first = assess(ACTIVE, seen, expected, limits(), NOW)
    second = assess(ACTIVE, shuffled, expected, limits(), NOW)
    assert first == second


@given(evidences(), st.integers(1, 6))
def test_every_verdict_has_a_reason_and_only_trouble_has_a_beginning(seen: Evidence, expected: int) -> None:
    judged = assess(ACTIVE, seen, expected, limits(), NOW)
    assert "replicas pass" in judged.reason
    assert 0 <= judged.passing <= judged.expected
    if judged.verdict is Verdict.UNHEALTHY:
        assert judged.since is not None
        assert judged.since <= NOW
    if judged.verdict is Verdict.HEALTHY:
        assert judged.since is None
