"""A release's decisions: which waves there are, what follows a look at one, and every sentence that people get."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import InvalidInputError
from standfast.fleet import Role
from standfast.release_waves import (
    LEAST_SECONDS,
    MOST_SECONDS,
    STOPPED,
    Action,
    Candidate,
    Decision,
    Standing,
    Target,
    Waves,
    Way,
    check_waves,
    decide,
    plan,
)

EAST, WEST = "us-east-1", "us-west-2"
BOTH = (Way.ROLLING, Way.BLUE_GREEN)
FLEET = [
    Candidate(WEST, "usw2-a", Role.ACTIVE, "v7", BOTH),
    Candidate(WEST, "usw2-b", Role.STANDBY, "v7", BOTH),
    Candidate(EAST, "use1-a", Role.ACTIVE, "v7", BOTH),
    Candidate(EAST, "use1-b", Role.STANDBY, "v7", BOTH),
]


def of(name: str, **more: Any) -> Candidate:
    return replace(next(each for each in FLEET if each.cluster_id == name), **more)


def names(found: Waves) -> list[list[str]]:
    return [[each.cluster_id for each in wave] for wave in found.waves]


# Which waves


def test_without_a_word_it_goes_region_by_region_one_cluster_a_wave_the_active_one_last() -> None:
    found = plan(FLEET, None, Way.ROLLING, "v8")
    assert names(found) == [["use1-b"], ["use1-a"], ["usw2-b"], ["usw2-a"]]
    assert found.waves[0] == (Target(EAST, "use1-b", Way.ROLLING, "v7"),)
    assert found.left_out == ()


def test_waves_go_as_asked_for_and_one_whose_clusters_serve_it_already_is_none() -> None:
    clusters = [of("use1-b", live="v8"), of("usw2-b"), of("use1-a")]
    found = plan(clusters, [[(EAST, "use1-b")], [(EAST, "use1-a"), (WEST, "usw2-b")]], Way.ROLLING, "v8")
    assert (names(found), found.left_out) == ([["use1-a", "usw2-b"]], ("use1-b serves v8 already",))


def test_who_neither_serves_nor_stands_by_is_left_out_and_named_but_refused_where_somebody_asked_for_it() -> None:
    clusters = [of("use1-a"), of("use1-b", role=Role.QUARANTINED)]
    assert plan(clusters, None, Way.ROLLING, "v8").left_out == ("use1-b is quarantined",)
    words = "waves: use1-b is quarantined; it has to be active or a standby, or leave it out"
    with pytest.raises(InvalidInputError, match=f"^{words}$"):
        plan(clusters, [[(EAST, "use1-b")]], Way.ROLLING, "v8")


@pytest.mark.parametrize(
    ("clusters", "asked", "way", "words"),
    [
        (
            [of("use1-a", refused="RolloutRefused: v8 is not there"), of("usw2-a", refused="TIMED_OUT: ")],
            None,
            Way.ROLLING,
            "version: v8 cannot be released: use1-a: RolloutRefused: v8 is not there; usw2-a: TIMED_OUT: ",
        ),
        (
            [of("use1-a", live="v8"), of("use1-b", role=Role.DRAINING)],
            None,
            Way.ROLLING,
            "version: there is no cluster to release it to: use1-a serves v8 already, use1-b is draining",
        ),
        (
            FLEET,
            [[(EAST, "use1-a"), (WEST, "usw2-a")]],
            Way.ROLLING,
            "waves: wave 1 has the active clusters of two Regions, use1-a and usw2-a; give each a wave of its own",
        ),
        (
            [of("use1-b", ways=(Way.ROLLING,), why_not="blue/green: the quota does not suffice")],
            None,
            Way.BLUE_GREEN,
            "way: use1-b: blue_green does not fit: blue/green: the quota does not suffice",
        ),
        (
            [of("use1-b", ways=(Way.SURGE,), why_not="rolling: it has one replica")],
            None,
            None,
            "way: use1-b: no way does not fit: rolling: it has one replica",
        ),
    ],
)
def test_each_refusal_says_what_is_against_it(
    clusters: list[Candidate], asked: list[list[tuple[str, str]]] | None, way: Way | None, words: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(words)}$"):
        plan(clusters, asked, way, "v8")


@pytest.mark.parametrize(
    ("waves", "words"),
    [
        (
            [[(EAST, "use1-a")], [(EAST, "use1-a")]],
            "waves: use1-a is named twice; a release changes each cluster once",
        ),
        (
            [[(WEST, "usw2-a")], [(EAST, "use1-a"), (EAST, "use1-b")]],
            "waves: wave 2 has two clusters of us-east-1; give each a wave of its own, for one of them must",
        ),
    ],
)
def test_waves_that_would_leave_nobody_to_fail_over_to_are_refused(
    waves: list[list[tuple[str, str]]], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(words)}"):
        check_waves(waves)


def test_auto_takes_the_way_that_goes_back_soonest_and_never_a_node_more_unasked() -> None:
    ways = {name: plan([of("use1-b", ways=ways)], None, None, "v8").waves[0][0].way for name, ways in {
        "both": BOTH, "in place": (Way.ROLLING, Way.SURGE),
    }.items()}  # fmt: skip
    assert ways == {"both": Way.BLUE_GREEN, "in place": Way.ROLLING}


CANDIDATES = st.builds(
    Candidate,
    st.sampled_from([EAST, WEST, "eu-central-1"]),
    st.sampled_from("abcd"),
    st.sampled_from(Role),
    st.sampled_from(["v7", "v8", None]),
    st.just(BOTH),
)


@given(st.lists(CANDIDATES, max_size=6, unique_by=lambda each: (each.scope_id, each.cluster_id)))
def test_whatever_the_fleet_each_cluster_goes_once_alone_and_its_region_s_standbys_before_it(
    fleet: list[Candidate],
) -> None:
    due = {
        (each.scope_id, each.cluster_id): each
        for each in fleet
        if each.live != "v8" and each.role in (Role.ACTIVE, Role.STANDBY)
    }
    if not due:
        with pytest.raises(InvalidInputError):
            plan(fleet, None, Way.ROLLING, "v8")
        return
    found = plan(fleet, None, Way.ROLLING, "v8")
    order = [due[each.scope_id, each.cluster_id] for wave in found.waves for each in wave]
    assert Counter(map(len, found.waves)) == {1: len(due)}
    assert len(order) + len(found.left_out) == len(fleet)
    assert [each.scope_id for each in order] == sorted(each.scope_id for each in order)
    for before, after in pairwise(order):
        assert before.scope_id != after.scope_id or before.role is not Role.ACTIVE or after.role is Role.ACTIVE


# What follows a look


def look(
    *standings: Standing,
    number: int = 1,
    waves: int = 3,
    baked_since: float | None = None,
    against: str = "",
    now: float = 100.0,
) -> Decision:
    return decide(
        number,
        waves,
        standings,
        began_at=0.0,
        baked_since=baked_since,
        bake_seconds=60,
        against=against,
        now=now,
    )


GOOD = Standing("use1-b", EAST, ended=True, succeeded=True)
AT_WORK = Standing("usw2-b", WEST, ended=False)


def failed(error: str) -> Standing:
    return Standing("usw2-b", WEST, ended=True, error=error, cause="no engine starts")


def test_a_wave_is_waited_for_while_any_of_its_rollouts_is_under_way() -> None:
    assert look(GOOD, AT_WORK) == Decision(Action.WAIT, "wave 1 of 3: usw2-b under way", LEAST_SECONDS)


@pytest.mark.parametrize(("took", "seconds"), [(0.0, LEAST_SECONDS), (400.0, 20), (86_400.0, MOST_SECONDS)])
def test_the_longer_a_wave_takes_the_more_seldom_it_is_looked_at(took: float, seconds: int) -> None:
    assert look(AT_WORK, now=took).seconds == seconds


@pytest.mark.parametrize("error", ["RolloutPutBack", "DeploymentFailed", "TIMED_OUT", "ABORTED", "RolloutRefused"])
def test_a_rollout_that_fails_however_aborts_the_release_without_waiting_for_the_others(error: str) -> None:
    found = look(AT_WORK, failed(error))
    assert found == Decision(Action.ABORT, f"wave 1 of 3: usw2-b in us-west-2 failed ({error}): no engine starts")


@pytest.mark.parametrize("error", sorted(STOPPED))
def test_a_rollout_that_a_failover_outran_stops_the_release(error: str) -> None:
    found = look(GOOD, failed(error), number=2)
    assert found == Decision(Action.STOP, f"wave 2 of 3: usw2-b in us-west-2 was stopped ({error}): no engine starts")


def test_a_wave_that_is_done_bakes_for_all_of_its_time_and_then_the_next_one_begins() -> None:
    assert look(GOOD) == Decision(Action.WAIT, "wave 1 of 3 bakes, 61 s are left", 61, bakes=True)
    assert look(GOOD, baked_since=41.0) == Decision(Action.WAIT, "wave 1 of 3 bakes, 2 s are left", 2, bakes=True)
    assert look(GOOD, baked_since=40.0) == Decision(Action.NEXT, "wave 1 of 3 has baked for 60 s")


def test_the_brake_keeps_the_next_wave_back_while_it_bakes_too_but_the_last_wave_has_none() -> None:
    words = "wave 1 of 3 is done, and nothing further may start: the switch says off"
    for baked_since in (None, 90.0, 0.0):
        assert look(GOOD, baked_since=baked_since, against="the switch says off") == Decision(Action.STOP, words)
    assert look(AT_WORK, against="the switch says off").action is Action.WAIT
    last = look(GOOD, number=3, against="the switch says off")
    assert last == Decision(Action.FINISH, "wave 3 of 3: all clusters serve the version")


ENDS = st.sampled_from(["good", "good", "good", "RolloutPutBack", "RolloutStopped", "TIMED_OUT", "never"])
WAVES = st.lists(st.lists(st.tuples(ENDS, st.integers(0, 900)), min_size=1, max_size=3), min_size=1, max_size=6)


@given(WAVES, st.integers(0, 900), st.one_of(st.none(), st.integers(0, 6000)), st.integers(1, 3))
def test_however_it_goes_no_two_waves_are_under_way_and_nothing_starts_behind_one_that_failed(
    waves: list[list[tuple[str, int]]], bake: int, brake_at: int | None, repeats: int
) -> None:
    """The machine's own loop over `decide`, each look made `repeats` times: with the same facts it says the same."""
    now, number, began_at, baked_since = 0.0, 1, 0.0, None
    done_at: list[float] = []
    while True:
        standings = [
            Standing(
                f"{number}-{place}",
                EAST,
                ended=(ended := end != "never" and now - began_at >= seconds),
                succeeded=ended and end == "good",
                error="" if end == "good" else end,
            )
            for place, (end, seconds) in enumerate(waves[number - 1])
        ]
        against = "it is frozen" if brake_at is not None and now >= brake_at else ""
        looks = [
            decide(
                number, len(waves), standings, began_at=began_at, baked_since=baked_since, bake_seconds=bake,
                against=against, now=now,
            )
            for _ in range(repeats)
        ]  # fmt: skip
        found = looks[0]
        assert all(each == found for each in looks)
        everyone_is_good = all(each.succeeded for each in standings)
        anyone_failed = any(each.ended and not each.succeeded for each in standings)
        assert (found.action in (Action.ABORT, Action.STOP)) == (
            anyone_failed or bool(everyone_is_good and against and number < len(waves))
        )
        assert (found.action is Action.FINISH) == (everyone_is_good and number == len(waves))
        if found.action is Action.NEXT:
            assert everyone_is_good
            assert not against
            done_at.append(began_at + max(seconds for _, seconds in waves[number - 1]))
            assert now - done_at[-1] >= bake
            number, began_at, baked_since = number + 1, now, None
        elif found.action is not Action.WAIT or now > 20_000:
            break
        else:
            assert found.seconds >= 1
            baked_since = (baked_since if baked_since is not None else now) if found.bakes else None
            now += found.seconds
    assert len(done_at) == number - 1
