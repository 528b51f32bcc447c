"""How much of an overload is shed: stepwise, bounded, never dark, and never swinging inside its own intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standfast.announcements import Urgency
from standfast.fleet import SHED, Role
from standfast.health import Assessment, Verdict
from standfast.lease import Purpose
from standfast.rule_weights import ALL, LOW_SHED, MAXIMUM, low_share, share, with_share
from standfast.shedding import (
    ShedAction,
    ShedDecision,
    decide_shed,
    is_saturated,
    told_of_held_back,
    told_of_maximum,
    told_of_step,
)
from standfast.shedding_rules import LowPriority, Shedding
from standfast.stores import ScopeRecord
from standfast.traffic import check_weights, serves
from tests.builders import ACTIVE, EXECUTION, NOW, SCOPE, STANDBY, assessment, desired, lease, record

LIMITS = Shedding()
FRESH = 10.0
SHARES = {percent: with_share({ACTIVE: 100, STANDBY: 0}, percent) for percent in (0, 20, 40)}
LOW_FIRST = Shedding(low_priority=LowPriority(header="x-priority", values=["batch", "low"]))


def busy(saturated: int, expected: int = 4, at: float = NOW, verdict: Verdict = Verdict.DEGRADED) -> Assessment:
    found = assessment(ACTIVE, verdict, "as built", assessed_at=at)
    return replace(found, saturated=saturated, expected=expected, late=saturated)


def shedding(percent: int, since: float) -> ScopeRecord:
    """All traffic on the active cluster but for a share that is shed since so many seconds."""
    state = desired(with_share({ACTIVE: 100, STANDBY: 0}, percent))
    return record(replace(state, updated_at=NOW - since))


def decide(scope: ScopeRecord, found: Assessment | None, at: float = NOW, limits: Shedding = LIMITS) -> ShedDecision:
    return decide_shed(scope, {ACTIVE: found} if found else {}, limits, FRESH, at)


# The share


@pytest.mark.parametrize(("percent", "weight"), [(0, 0), (20, 25), (40, 67), (60, 150), (80, 400)])
def test_a_share_is_a_weight_beside_those_of_the_clusters(percent: int, weight: int) -> None:
    weights = with_share({ACTIVE: 100, STANDBY: 0, SHED: 12}, percent)
    assert weights == {ACTIVE: 100, STANDBY: 0, SHED: weight}
    assert share(weights) == percent


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, MAXIMUM), min_size=1).filter(
        lambda weights: any(weights.values())
    ),
    st.integers(0, 90),
)
def test_shedding_leaves_the_clusters_weights_alone_and_is_never_dark(weights: dict[str, int], percent: int) -> None:
    after = check_weights(with_share(weights, percent))
    assert {name: weight for name, weight in after.items() if name != SHED} == weights
    assert serves(after)
    if sum(weights.values()) >= 100:
        assert share(after) <= percent


@given(st.integers(1, 90), st.integers(1, 90))
def test_more_is_never_less(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert with_share({ACTIVE: 100}, low)[SHED] <= with_share({ACTIVE: 100}, high)[SHED]


# Up


def test_a_cluster_is_saturated_when_half_of_its_replicas_are() -> None:
    assert [is_saturated(busy(count)) for count in range(5)] == [False, False, True, True, True]
    assert is_saturated(busy(1, expected=2))
    assert not is_saturated(busy(0, expected=0))


def test_a_saturated_cluster_is_relieved_step_by_step_up_to_the_maximum() -> None:
    shares = []
    scope = shedding(0, 3600)
    for _ in range(8):
        decision = decide(scope, busy(2))
        shares.append(decision.percent)
        scope = record(replace(desired(decision.weights), updated_at=NOW - LIMITS.raise_seconds))
    assert shares == [20, 40, 60, 80, 80, 80, 80, 80]


def test_where_every_replica_answers_too_late_a_step_is_twice_as_high() -> None:
    assert decide(shedding(0, 3600), busy(3)).percent == 20
    assert decide(shedding(0, 3600), busy(4)).percent == 40
    assert decide(shedding(60, 3600), busy(4)).percent == 80  # the maximum holds
    assert walk(busy(4), LOW_FIRST, 0, 0, 3) == [(0, 100), (40, 100), (80, 100)]


def test_a_step_says_what_it_is_about() -> None:
    decision = decide(shedding(0, 3600), busy(3))
    assert decision == ShedDecision(
        ShedAction.RAISE,
        "use1-a is saturated: 3 of 4 replicas answer too late",
        {ACTIVE: 100, STANDBY: 0, SHED: 25},
        20,
        ACTIVE,
    )


def test_the_next_step_waits_for_the_effect_of_the_last() -> None:
    decision = decide(shedding(20, LIMITS.raise_seconds - 1), busy(4))
    assert (decision.action, decision.percent) == (ShedAction.NONE, 20)
    assert decision.reason.endswith("the last change is 9 s ago")


def test_at_the_maximum_it_is_known_since_when() -> None:
    decision = decide(shedding(80, 500), busy(4))
    assert (decision.action, decision.at_maximum_since) == (ShedAction.NONE, NOW - 500)


# Down


def test_without_saturation_the_share_goes_down_step_by_step() -> None:
    shares = []
    scope = shedding(60, 3600)
    for _ in range(4):
        decision = decide(scope, busy(0))
        shares.append((decision.action, decision.percent))
        scope = record(replace(desired(decision.weights), updated_at=NOW - LIMITS.calm_seconds))
    assert shares == [
        (ShedAction.LOWER, 40),
        (ShedAction.LOWER, 20),
        (ShedAction.LOWER, 0),
        (ShedAction.NONE, 0),
    ]


def test_down_waits_longer_than_up() -> None:
    assert decide(shedding(40, LIMITS.calm_seconds - 1), busy(0)).action is ShedAction.NONE
    assert decide(shedding(40, LIMITS.calm_seconds), busy(0)).action is ShedAction.LOWER


@pytest.mark.parametrize("found", [busy(1), replace(busy(0), late=1)], ids=["saturated", "late once"])
def test_one_late_replica_of_four_moves_nothing_either_way(found: Assessment) -> None:
    """A new run of the watch knows of no saturation for its first seconds; that must not look like calm."""
    for since in (0.0, 3600.0):
        assert decide(shedding(40, since), found).action is ShedAction.NONE


# Nothing


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "no cluster is active and assessed"),
        (busy(4, at=NOW - FRESH - 1), "the last assessment of use1-a is 11 s old"),
        (busy(4, verdict=Verdict.UNHEALTHY), "use1-a is unhealthy, which shedding does not mend"),
        (busy(4, verdict=Verdict.UNKNOWN), "use1-a is unknown, which shedding does not mend"),
    ],
)
def test_without_fresh_evidence_of_a_living_cluster_nothing_moves(found: Assessment | None, why: str) -> None:
    for percent in (0, 40):
        decision = decide(shedding(percent, 3600), found)
        assert decision.action is ShedAction.NONE
        assert decision.reason == f"{percent} % is shed; {why}"


def test_while_somebody_holds_the_lease_nothing_moves() -> None:
    scope = replace(shedding(0, 3600), lease=lease(4, EXECUTION, Purpose.FAILOVER))
    assert decide(scope, busy(4)).action is ShedAction.NONE


def test_a_saturated_standby_is_not_shed_for() -> None:
    state = desired(roles={ACTIVE: Role.STANDBY, STANDBY: Role.ACTIVE})
    decision = decide(record(state), busy(4))
    assert decision.action is ShedAction.NONE


# Over time

seen = st.lists(st.integers(0, 4), min_size=1, max_size=80)
limits_drawn = st.builds(
    lambda step, maximum, up, calm: Shedding(
        step_percent=step, maximum_percent=max(step, maximum), raise_seconds=up, calm_seconds=up + calm
    ),
    st.integers(5, 50),
    st.integers(5, 90),
    st.floats(5, 30),
    st.floats(0, 60),
)


@settings(max_examples=200, deadline=None)
@given(seen, limits_drawn)
def test_whatever_is_seen_the_share_is_bounded_steps_are_apart_and_the_clusters_stay(
    saturated: list[int], limits: Shedding
) -> None:
    """A look every five seconds. After a step up none goes down within `calm_seconds`, so the share does not swing."""
    state = desired(with_share({ACTIVE: 100, STANDBY: 0}, 0))
    last_step = state.updated_at
    for number, count in enumerate(saturated):
        now = NOW + 5.0 * number
        before = share(state.weights)
        decision = decide(record(state), busy(count, at=now), now, limits)
        after = share(decision.weights)
        assert 0 <= after <= limits.maximum_percent
        assert abs(after - before) <= limits.step_percent * (2 if count == 4 else 1)
        assert serves(decision.weights)
        assert {**decision.weights, SHED: 0} == {ACTIVE: 100, STANDBY: 0, SHED: 0}
        if decision.action is ShedAction.NONE:
            assert after == before
            continue
        apart = limits.raise_seconds if decision.action is ShedAction.RAISE else limits.calm_seconds
        assert now - last_step >= apart
        assert (after > before) == (decision.action is ShedAction.RAISE) == (2 * count >= 4)
        last_step = now
        state = state.next(token=4, reason=decision.reason, now=now, weights=decision.weights)


# What is of low priority first


def shedding_both(percent: int, low: int, since: float = 3600.0) -> ScopeRecord:
    state = desired(with_share({ACTIVE: 100, STANDBY: 0}, percent, low))
    return record(replace(state, updated_at=NOW - since))


def walk(found: Assessment, limits: Shedding, percent: int, low: int, steps: int) -> list[tuple[int, int]]:
    """The shares of everything and of low priority, step by step."""
    shares = []
    for _ in range(steps):
        decision = decide(shedding_both(percent, low), found, limits=limits)
        percent, low = decision.percent, decision.low_percent
        assert (share(decision.weights), low_share(decision.weights)) == (percent, low)
        shares.append((percent, low))
    return shares


def test_all_of_low_priority_is_shed_before_any_of_the_rest_and_let_back_in_last() -> None:
    up = [(0, 50), (0, 100), (20, 100), (40, 100), (60, 100), (80, 100)]
    assert walk(busy(3), LOW_FIRST, 0, 0, 7) == [*up, up[-1]]
    assert walk(busy(0), LOW_FIRST, 80, 100, 7) == [*up[-2::-1], (0, 0), (0, 0)]


def test_low_priority_waits_as_long_for_its_steps() -> None:
    assert decide(shedding_both(0, 50, LIMITS.raise_seconds - 1), busy(4), limits=LOW_FIRST).action is ShedAction.NONE
    assert decide(shedding_both(0, 50, LIMITS.calm_seconds - 1), busy(0), limits=LOW_FIRST).action is ShedAction.NONE


def test_the_maximum_is_reached_when_low_priority_is_shed_too() -> None:
    assert decide(shedding_both(80, 50), busy(4), limits=LOW_FIRST).low_percent == ALL
    assert decide(shedding_both(80, 100), busy(4), limits=LOW_FIRST).at_maximum_since == NOW - 3600


def test_what_was_shed_of_low_priority_is_served_again_when_the_config_forgets_it() -> None:
    decision = decide(shedding_both(0, 100), busy(0))
    assert (decision.action, decision.weights) == (ShedAction.LOWER, {ACTIVE: 100, STANDBY: 0, SHED: 0})


@settings(deadline=None)
@given(seen, limits_drawn, st.integers(1, 100))
def test_nobody_else_is_shed_while_anything_of_low_priority_is_served(
    saturated: list[int], limits: Shedding, step: int
) -> None:
    low_priority = LowPriority(header="x-priority", values=["low"], step_percent=step)
    limits = limits.model_copy(update={"low_priority": low_priority})
    state = desired({ACTIVE: 100, STANDBY: 0})
    for number, count in enumerate(saturated):
        now = NOW + 5.0 * number
        decision = decide(record(state), busy(count, at=now), now, limits)
        assert 0 <= decision.low_percent <= ALL
        assert not decision.percent or decision.low_percent == ALL
        assert serves(decision.weights)
        if decision.action is not ShedAction.NONE:
            state = state.next(token=4, reason=decision.reason, now=now, weights=decision.weights)


def test_people_are_told_what_is_of_low_priority_and_when_it_is_not_only_that() -> None:
    low_priority = LOW_FIRST.low_priority

    def told(percent: int, low: int, found: Assessment) -> tuple[str, str]:
        decision = decide(shedding_both(percent, low), found, limits=LOW_FIRST)
        announcement = told_of_step(SCOPE, decision, shedding_both(percent, low).desired.weights, low_priority)
        return (announcement.text, announcement.outcome) if announcement else ("", "")

    text, first = told(0, 0, busy(3))
    assert "What was done: 50 % of the requests with x-priority: batch or low are answered 503" in text
    assert "Everything else is served." in text
    assert told(0, 50, busy(4)) == ("", "")
    text, second = told(0, 100, busy(3))
    assert "all the requests with x-priority: batch or low, and 20 % of the others, are answered 503" in text
    assert told(20, 100, busy(0)) == ("", "")
    text, third = told(0, 50, busy(0))
    assert "Every request is answered by a cluster again" in text
    assert len({first, second, third}) == 3


def test_the_share_of_low_priority_stands_beside_the_weights_and_is_none_of_them() -> None:
    weights = with_share({ACTIVE: 100, STANDBY: 0}, 20, 100)
    assert weights == {ACTIVE: 100, STANDBY: 0, SHED: 25, LOW_SHED: 100}
    assert share(weights) == 20


# In words


def test_a_person_is_told_that_shedding_begins_and_ends_and_not_of_each_step() -> None:
    first = told_of_step(SCOPE, decide(shedding(0, 3600), busy(3)), SHARES[0], None)
    assert first is not None
    assert (first.urgency, first.detail_type) == (Urgency.NOTICE, "SheddingStarted")
    assert "20 % of the requests are answered 503 with Retry-After" in first.text
    assert f"The traffic stays on {ACTIVE}" in first.text
    assert told_of_step(SCOPE, decide(shedding(20, 3600), busy(4)), SHARES[20], None) is None
    last = told_of_step(SCOPE, decide(shedding(20, 3600), busy(0)), SHARES[20], None)
    assert last is not None
    assert (last.detail_type, last.subject) == ("SheddingEnded", f"{SCOPE}: overload is no longer shed")
    assert last.outcome != first.outcome


def test_a_person_is_woken_when_the_most_is_not_enough() -> None:
    announcement = told_of_maximum(SCOPE, decide(shedding(80, 500), busy(4)), NOW - 500)
    assert announcement.urgency is Urgency.PAGE
    assert "80 % of the requests are answered 503" in announcement.text
    assert "saturated is no reason to leave" in announcement.text


def test_a_step_that_is_held_back_says_why_and_what_stays() -> None:
    up = told_of_held_back(SCOPE, decide(shedding(0, 3600), busy(4)), SHARES[0], "the switch says observe (new)")
    assert "0 % of the requests are shed as before: the switch says observe (new)" in up.text
    assert "Expect queueing" in up.text
    down = told_of_held_back(SCOPE, decide(shedding(40, 3600), busy(0)), SHARES[40], "the switch says observe (new)")
    assert down.subject == f"{SCOPE}: {ACTIVE} is not saturated, 40 % is shed still"
