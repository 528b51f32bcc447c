"""The capacity guard: what is learned of a replica's limits, and how much of the traffic a cluster could carry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.capacity import LAST_KNOWN_SECONDS, Fit, Load, Reading, fit, follow, reading_of, told
from standfast.engine import UNREAD, EngineMetrics
from standfast.errors import NoHeadroomError
from standfast.failover import Selection
from standfast.move_judgement import StageAction, StageDecision, with_headroom
from standfast.planned_move import headroom
from standfast.shedding_rules import LowPriority
from tests.builders import ACTIVE, NOW, SCOPE, STANDBY, cluster, document, fleet


def clusters(**capacity: Any) -> Any:
    """The usual two; `capacity` is that of the standby's replicas."""
    region = document()["regions"][SCOPE]
    standby = {**cluster(STANDBY), **({"capacity": capacity} if capacity else {})}
    return (
        fleet(regions={SCOPE: {**region, "clusters": {**region["clusters"], STANDBY: standby}}}).region(SCOPE).clusters
    )


def load(cluster_id: str, requests: int, replicas: int, **more: Any) -> Load:
    """A load as it was just measured."""
    known = Load(cluster_id, NOW - 20, Reading(replicas, requests, 0), (requests,))
    return replace(known, **more)


def share(source: Load, target: Load, **capacity: Any) -> Fit:
    return fit(ACTIVE, STANDBY, clusters(**capacity), {ACTIVE: source, STANDBY: target}, NOW)


def test_the_engines_of_a_cluster_are_summed_up() -> None:
    said = [EngineMetrics(10, 4, 2, 0.5), EngineMetrics(20, 1, 0, 0.3), UNREAD]
    assert reading_of(said) == Reading(replicas=2, running=5, waiting=2, kv_usage=0.4, progress=30, full=4)


def test_engines_that_say_nothing_are_no_load_of_zero() -> None:
    assert reading_of([UNREAD, UNREAD]) == Reading(replicas=0)


def test_a_limit_is_learned_only_between_readings_that_both_found_requests_waiting() -> None:
    free = follow(None, ACTIVE, Reading(4, 12, 0, progress=0), NOW - 30)
    assert (free.most_requests, free.most_work_per_second) == (None, None)
    came = follow(free, ACTIVE, Reading(4, 16, 8, progress=600, full=4), NOW)
    assert (came.most_requests, came.work_per_second, came.most_work_per_second) == (4, 20, None)
    full = follow(came, ACTIVE, Reading(4, 16, 8, progress=3000, full=4), NOW + 30)
    assert (full.most_requests, full.work_per_second, full.most_work_per_second) == (4, 80, 20)
    later = follow(full, ACTIVE, Reading(4, 2, 0, progress=3060), NOW + 60)
    assert (later.most_requests, later.work_per_second, later.most_work_per_second) == (4, 2, 20)


def test_a_counter_that_went_back_gives_no_rate() -> None:
    before = follow(None, ACTIVE, Reading(4, 1, 0, progress=900), NOW - 30)
    assert follow(before, ACTIVE, Reading(4, 1, 0, progress=10), NOW).work_per_second is None
    assert follow(before, ACTIVE, Reading(3, 1, 0, progress=990), NOW).work_per_second is None


def test_the_busiest_of_the_last_readings_counts() -> None:
    known: Load | None = None
    for number, running in enumerate([9, 40, 6, 5, 4]):
        known = follow(known, ACTIVE, Reading(4, running, 0), NOW + 30 * number)
    assert known is not None
    assert known.running == (40, 6, 5, 4)


def test_half_of_the_replicas_carry_half_of_what_fills_the_others() -> None:
    found = share(load(ACTIVE, 32, 4), load(STANDBY, 0, 2), requests=8)
    assert found == Fit(
        0.5,
        f"{STANDBY} can carry 50 % of the traffic: 16 requests at once (2 replicas, 8 each, declared) against 32",
    )


def test_what_waits_is_told_and_is_no_measure_of_the_traffic() -> None:
    source = replace(load(ACTIVE, 16, 4), reading=Reading(4, 16, 90))
    found = share(source, load(STANDBY, 0, 2), requests=4)
    assert found.share == 0.5
    assert found.reason.endswith("against 16 and 90 that wait")


def test_what_the_target_has_already_counts() -> None:
    assert share(load(ACTIVE, 16, 4), load(STANDBY, 16, 2), requests=8).share == 0.5


def test_a_limit_that_was_learned_of_the_peer_counts_where_the_target_was_never_full() -> None:
    found = share(load(ACTIVE, 24, 4, most_requests=6), load(STANDBY, 0, 2))
    assert found.share == 0.5
    assert "6 each, learned" in found.reason


def test_what_is_declared_outweighs_what_was_learned() -> None:
    assert share(load(ACTIVE, 24, 4, most_requests=6), load(STANDBY, 0, 2), requests=12).share == 1


def test_the_tightest_limit_is_told() -> None:
    source = load(ACTIVE, 16, 4, work_per_second=4000.0)
    found = share(source, load(STANDBY, 0, 2), requests=8, work_per_second=500)
    assert found.share == 0.25
    assert "1000 of work a second (2 replicas, 500 each, declared) against 4000" in found.reason


def test_a_full_kv_cache_is_a_limit_without_any_being_declared() -> None:
    source = replace(load(ACTIVE, 16, 4), reading=Reading(4, 16, 0, kv_usage=0.9))
    found = share(source, replace(load(STANDBY, 0, 2), reading=Reading(2, 0, 0, kv_usage=0.0)))
    assert found.share == pytest.approx(0.5)
    assert "the KV caches of 1.8 replicas against 3.6" in found.reason


def test_replicas_that_are_gone_carry_nothing() -> None:
    assert share(load(ACTIVE, 16, 4), load(STANDBY, 0, 1), requests=8).share == 0.5


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, f"the headroom of {STANDBY} is not measured"),
        ({STANDBY: load(STANDBY, 0, 2, measured_at=NOW - 91)}, f"the headroom of {STANDBY} is not measured"),
        ({STANDBY: load(STANDBY, 0, 2)}, f"the traffic of {ACTIVE} is not measured"),
        ({STANDBY: load(STANDBY, 0, 2), ACTIVE: load(ACTIVE, 9, 4)}, "it was never seen at one"),
    ],
)
def test_what_is_not_measured_is_not_guessed(known: dict[str, Load], words: str) -> None:
    found = fit(ACTIVE, STANDBY, clusters(), known, NOW)
    assert found.share is None
    assert words in found.reason
    assert found.is_enough


@given(running=st.integers(0, 500), there=st.integers(0, 500), each=st.integers(1, 64))
def test_more_traffic_never_fits_better(running: int, there: int, each: int) -> None:
    less, more = (
        share(load(ACTIVE, count, 4), load(STANDBY, there, 2), requests=each).share for count in (running, running + 1)
    )
    assert less is None or (more is not None and more <= less)


CHOSEN = Selection(STANDBY, "it is proven", "")
TIGHT, AMPLE, UNKNOWN = Fit(0.5, "50 % fits"), Fit(1.5, "all fits"), Fit(None, "it is not measured")


def test_a_planned_move_that_does_not_fit_is_refused_with_the_figure() -> None:
    with pytest.raises(NoHeadroomError, match=r"50 % fits; lower the traffic, add replicas, or set accept_overload"):
        headroom(CHOSEN, TIGHT, accepted=False)
    assert headroom(CHOSEN, TIGHT, accepted=True).overload == "50 % fits, which was accepted"


def test_a_planned_move_whose_headroom_is_not_measured_is_found_out_by_its_stages() -> None:
    assert "so the stages find out" in headroom(CHOSEN, UNKNOWN, accepted=False).reason
    assert headroom(CHOSEN, AMPLE, accepted=False).overload == ""


def test_a_stage_is_not_followed_by_one_that_does_not_fit() -> None:
    good = StageDecision(StageAction.PASS, "good for 120 s")
    assert with_headroom(good, TIGHT, 50) == good
    assert with_headroom(good, UNKNOWN, 100) == good
    stopped = with_headroom(good, TIGHT, 51)
    assert (stopped.action, stopped.reason) == (StageAction.ABORT, "the next stage, 51 %, does not fit: 50 % fits")
    waits = StageDecision(StageAction.WAIT, "good after 5 s")
    assert with_headroom(waits, TIGHT, 100) == waits


def test_from_a_dead_cluster_everything_moves_and_the_overload_is_said() -> None:
    known = {ACTIVE: load(ACTIVE, 32, 4, measured_at=NOW - 300), STANDBY: load(STANDBY, 0, 2)}
    found = told(replace(CHOSEN, overload="2 replicas for the traffic of 4"), ACTIVE, clusters(requests=8), known, NOW)
    assert found.cluster_id == STANDBY
    assert found.overload.startswith(f"2 replicas for the traffic of 4; {STANDBY} can carry 50 % of the traffic")
    old = {**known, ACTIVE: load(ACTIVE, 32, 4, measured_at=NOW - LAST_KNOWN_SECONDS - 1)}
    assert told(CHOSEN, ACTIVE, clusters(requests=8), old, NOW) == CHOSEN


LOW_PRIORITY = LowPriority(header="x-priority", values=["batch"])
SMALLER = replace(CHOSEN, overload="2 replicas for the traffic of 4")


def test_where_an_overload_is_stated_low_priority_stays_out_from_the_start() -> None:
    busy = {ACTIVE: load(ACTIVE, 32, 4), STANDBY: load(STANDBY, 0, 2)}
    for known in (busy, {}):
        found = told(SMALLER, ACTIVE, clusters(requests=8), known, NOW, LOW_PRIORITY)
        assert found.sheds_low_priority
        assert found.overload.endswith("with x-priority: batch are answered 503 with Retry-After from the start")
    assert not told(SMALLER, ACTIVE, clusters(requests=8), busy, NOW).sheds_low_priority


def test_where_all_was_measured_to_fit_or_nothing_is_smaller_low_priority_comes_along() -> None:
    idle = {ACTIVE: load(ACTIVE, 8, 4), STANDBY: load(STANDBY, 0, 2)}
    assert told(SMALLER, ACTIVE, clusters(requests=8), idle, NOW, LOW_PRIORITY) == SMALLER
    assert told(CHOSEN, ACTIVE, clusters(requests=8), {}, NOW, LOW_PRIORITY) == CHOSEN
