"""The decisions of a rolling update: which replica, when it is empty, whether it serves, and who puts it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.capacity import Fit
from standfast.engine import EngineDescription, EngineState
from standfast.errors import NotConvergedError
from standfast.fleet import Cluster, Model
from standfast.health import Outcome, Verdict
from standfast.model_versions import CanaryLoad, ModelUpdate, ModelVersion, ReplicaPhase, ServedModel
from standfast.rollout import (
    HELD_SECONDS,
    NextAction,
    Serves,
    Standing,
    canary_over,
    choose,
    decide_put_back,
    judge_bake,
    judge_drain,
    judge_replica,
    turned,
)
from tests import builders
from tests.builders import ACTIVE, NOW

OLD, NEW = ModelVersion("tiny", "v7"), ModelVersion("tiny", "v8")
NAMES = ("i-1:8000", "i-2:8000", "i-3:8000", "i-4:8000")
CLUSTER = Cluster.model_validate(builders.cluster(ACTIVE, "active", 4))
MODEL = Model(name="tiny", engine="llama.cpp", version="v7")
UPDATE = ModelUpdate("roll-1", NEW, NOW)


def standing(
    healthy: set[str] | None = None, *, registered: set[str] | None = None, fit: Fit | None = None, age: float = 1.0
) -> Standing:
    there = set(NAMES) if registered is None else registered
    found = builders.assessment(assessed_at=NOW - age)
    urls = {name: f"http://{name}" for name in sorted(there)}
    return Standing(CLUSTER, urls, frozenset(there if healthy is None else healthy), found, fit)


def touched(**phases: ReplicaPhase) -> ModelUpdate:
    update = UPDATE
    for number, phase in phases.items():
        update = update.with_replica(f"i-{number[1:]}:8000", phase, "http://kept")
    return update


def test_a_replica_that_is_out_already_comes_before_another_is_taken() -> None:
    found = choose(touched(i2=ReplicaPhase.OUT), standing(registered=set(NAMES) - {"i-2:8000"}), 10, NOW)
    assert (found.action, found.replica_id, found.url) == (NextAction.REPLICA, "i-2:8000", "http://kept")


def test_a_replica_that_is_not_healthy_is_taken_first_for_it_carries_nothing() -> None:
    found = choose(UPDATE, standing({"i-1:8000", "i-2:8000", "i-4:8000"}), 10, NOW)
    assert found.replica_id == "i-3:8000"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (standing({"i-1:8000", "i-2:8000"}, registered={"i-1:8000", "i-2:8000"}), "1 healthy of 4 replicas"),
        (standing(fit=Fit(0.75, "3 replicas can carry 75 %")), "3 replicas can carry 75 %"),
        (standing(age=60), "the watch has not judged the cluster of late"),
    ],
)
def test_a_replica_that_cannot_be_spared_is_waited_for_and_the_reason_is_said(place: Standing, said: str) -> None:
    found = choose(UPDATE, place, 10, NOW)
    assert found.action is NextAction.WAIT
    assert said in found.reason


def test_what_must_go_back_goes_when_waiting_is_over() -> None:
    back = touched(i1=ReplicaPhase.BACK).reverted("it is worse")
    place = standing(fit=Fit(0.75, "3 replicas can carry 75 %"))
    assert choose(back, place, 10, NOW).action is NextAction.WAIT
    assert choose(back, place, 10, NOW, may_wait=False).replica_id == "i-1:8000"
    assert choose(UPDATE, place, 10, NOW, may_wait=False).action is NextAction.WAIT


def test_on_the_way_back_nobody_is_touched_who_was_not() -> None:
    back = touched(i1=ReplicaPhase.BACK, i2=ReplicaPhase.OUT).reverted("it is worse")
    taken = []
    while (found := choose(back, standing(), 10, NOW)).action is NextAction.REPLICA:
        taken.append(found.replica_id)
        back = back.without_replica(found.replica_id)
    assert taken == ["i-1:8000", "i-2:8000"]
    assert found.reason == "all that was touched is put back"


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)), st.booleans())
def test_no_choice_leaves_fewer_than_half_or_less_than_the_traffic_needs(
    healthy: set[str], back: set[str], fits: bool
) -> None:
    update = UPDATE
    for name in back:
        update = update.with_replica(name, ReplicaPhase.BACK, "")
    fit = Fit(1.0 if fits else 0.9, "measured")
    found = choose(update, standing(healthy, fit=fit), 10, NOW)
    if found.action is NextAction.REPLICA and found.replica_id in healthy:
        assert fits
        assert 2 * (len(healthy) - 1) >= CLUSTER.replicas
    if found.action is NextAction.DONE:
        assert back == set(NAMES)


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=30))
def test_drained_means_that_nothing_was_in_flight_for_three_seconds(counts: list[int | None]) -> None:
    looked = [(NOW + 0.5 * turn, count) for turn, count in enumerate(counts)]
    now = looked[-1][0]
    found = judge_drain(looked, None, NOW + 1000, now)
    last = [moment for moment, count in looked if moment > now - HELD_SECONDS]
    held = len(looked) >= 7 and all(count == 0 for moment, count in looked if moment >= now - HELD_SECONDS)
    assert found.drained is held or not last
    assert found.cut == 0


def test_zero_is_held_over_two_looks() -> None:
    first = judge_drain([(NOW, 2), (NOW + 1, 0)], None, NOW + 100, NOW + 1)
    assert (first.drained, first.empty_since) == (False, NOW + 1)
    second = judge_drain([(NOW + 4, 0)], first.empty_since, NOW + 100, NOW + 4)
    assert second.drained
    assert second.reason == "no request was in flight for 3.0 s"


def test_at_the_deadline_what_is_left_is_said_as_cut() -> None:
    found = judge_drain([(NOW + 100, 2)], None, NOW + 100, NOW + 100)
    assert (found.drained, found.cut) == (True, 2)
    assert found.reason == "the time for draining is up: 2 requests are in flight"


READY = EngineDescription(EngineState.READY, ("tiny",), "/store/models/tiny/v8/a.gguf")


@pytest.mark.parametrize(
    ("said", "outcomes", "serves", "reason"),
    [
        (READY, [Outcome.ANSWERED] * 3, Serves.YES, "it serves tiny v8: 3 canaries answered in a row, as the golden"),
        (READY, [Outcome.ANSWERED, Outcome.NONSENSE], Serves.WRONG, "it answers wrongly"),
        (READY, [Outcome.SLOW], Serves.NOT_YET, "a canary was"),
        (READY, [Outcome.TIMED_OUT], Serves.NOT_YET, "a canary was"),
        (EngineDescription(EngineState.STARTING, detail="it loads"), [], Serves.NOT_YET, "its engine is starting"),
        (
            EngineDescription(EngineState.READY, ("tiny",), "/store/models/tiny/v7/a.gguf"),
            [Outcome.ANSWERED] * 3,
            Serves.NOT_YET,
            "it has loaded tiny in version /store/models/tiny/v7/a.gguf, not tiny v8",
        ),
    ],
)
def test_a_changed_replica_is_believed_by_its_word_its_answers_and_its_time(
    said: EngineDescription, outcomes: list[Outcome], serves: Serves, reason: str
) -> None:
    probes = [builders.probe(outcome) for outcome in outcomes]
    found = judge_replica(NEW, MODEL, said, probes, is_golden=True)
    assert found.serves is serves
    assert found.reason.startswith(reason)


def test_a_replica_bakes_from_the_moment_that_it_came_back_and_only_where_it_is_healthy() -> None:
    assert not judge_bake(False, NOW, 10, NOW + 60).baked
    assert judge_bake(True, NOW, 10, NOW + 4).reason == "it bakes for 6 s more"
    assert judge_bake(True, NOW, 10, NOW + 10).baked


def test_what_could_not_go_back_stays_out_and_nothing_else_is_called_so() -> None:
    forward = touched(i1=ReplicaPhase.BACK, i2=ReplicaPhase.OUT)
    back = turned(forward, None, "worse")
    assert back.reverting == "worse"
    assert turned(back, None, "again") == back
    left = turned(back, "i-2:8000", "no room")
    assert left.in_phase(ReplicaPhase.LEFT) == ["i-2:8000"]
    assert turned(left, "i-2:8000", "no room") == left
    with pytest.raises(NotConvergedError, match="cannot be put back"):
        turned(left, "i-4:8000", "AccessDenied")


def test_an_update_without_a_holder_is_put_back_under_a_name_that_the_token_makes_new() -> None:
    served = ServedModel(OLD, OLD, UPDATE)
    found = decide_put_back(ACTIVE, served, 9, "")
    assert found is not None
    assert found.name == "use1-a-put-back-t9"
    assert found.reason == "the update of use1-a to tiny v8 was left half-way by roll-1; it is put back"
    held = decide_put_back(ACTIVE, served, 9, "the switch says off")
    assert held is not None
    assert (held.name, held.reason.endswith("the switch says off")) == ("", True)
    assert decide_put_back(ACTIVE, ServedModel(NEW, OLD), 9, "") is None


def test_a_cluster_that_the_watch_does_not_find_well_spares_nobody() -> None:
    found = builders.assessment(verdict=Verdict.UNHEALTHY, reason="dead")
    place = standing()
    ill = Standing(place.cluster, place.registered, place.healthy, found, None)
    assert choose(UPDATE, ill, 10, NOW).reason.endswith("the watch finds the cluster unhealthy: dead")


def test_a_canary_load_goes_back_once_its_replica_has_baked_and_not_before() -> None:
    update = replace(UPDATE, canary=CanaryLoad.ASKED)
    out = update.with_replica(NAMES[0], ReplicaPhase.OUT, "http://kept")
    assert canary_over(update) == update
    assert canary_over(out) == out
    over = canary_over(out.with_replica(NAMES[0], ReplicaPhase.BACK, "http://kept"))
    assert over.canary is CanaryLoad.SERVED
    assert over.reverting == "the canary load is over: i-1:8000 served tiny v8"
    assert choose(over, standing(), 10, NOW).replica_id == NAMES[0]


def test_an_update_that_is_no_canary_load_goes_on_after_its_first_replica() -> None:
    update = UPDATE.with_replica(NAMES[0], ReplicaPhase.BACK, "http://kept")
    assert canary_over(update) == update
