"""The planner: which ways fit, in words, and how long there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from standfast.capacity import Fit
from standfast.quotas import Launch, Launches, quota_of
from standfast.rollout_plan import Ground, Group, RolloutPlan, Span, Way, plan
from tests import builders
from tests.builders import ACTIVE, SCOPE, STANDBY

MINE = Launch(ACTIVE, "gpu-a", "g6.2xlarge", 4, 8)
OTHER = Launch(STANDBY, "gpu-b", "g6.2xlarge", 2, 8)
FOUND = quota_of(MINE)
assert FOUND is not None
QUOTA = FOUND
CODE = QUOTA.code
CONFIG = builders.fleet(
    rollouts={"drain_seconds": 60, "load_seconds": 600, "replica_bake_seconds": 60, "hold_seconds": 3600},
    moves={"stages": [10, 100], "bake_seconds": 120, "pause_seconds": 300},
)
GROUND = Ground(
    ACTIVE,
    CONFIG.region(SCOPE).cluster(ACTIVE).model_copy(update={"replicas": 4}),
    healthy=4,
    spared=Fit(1.4, "3 replicas of it can carry 100 % of its traffic"),
    launches=Launches((MINE, OTHER)),
    quotas={CODE: 96.0},
    group=Group(nodes=4, most=8),
    size=16_000_000_000,
    has_traffic=True,
)


def planned(wanted: Way | None = None, **changes: Any) -> RolloutPlan:
    return plan(replace(GROUND, **changes), CONFIG, wanted=wanted)


def test_of_what_fits_the_one_that_goes_back_soonest_is_chosen() -> None:
    found = planned()
    assert found.chosen is Way.BLUE_GREEN
    assert [option.fits for option in found.options] == [True, True, True]
    assert found.text.startswith(
        f"{ACTIVE}: blue/green goes back soonest.\nrolling fits: 3 of 4 replicas serve meanwhile"
    )
    assert "to give it up 5 s to 50 s" in found.text


def test_without_quota_for_as_many_again_it_rolls() -> None:
    found = planned(quotas={CODE: 64.0})
    assert found.chosen is Way.ROLLING
    assert found.option(Way.BLUE_GREEN).reason == (
        f"the quota does not suffice: 4 x g6.2xlarge = 32 vCPUs beside 48 of the quota {QUOTA.name}, 64"
    )


def test_where_no_replica_can_be_spared_one_node_more_comes_first() -> None:
    found = planned(quotas={CODE: 64.0}, spared=Fit(0.8, "3 replicas can carry 80 % of its traffic"))
    assert found.chosen is Way.SURGE
    assert found.option(Way.ROLLING).reason == "3 replicas can carry 80 % of its traffic"


def test_a_full_reservation_leaves_no_room_for_nodes() -> None:
    found = planned(group=Group(4, 8, reserved=0))
    assert [option.fits for option in found.options] == [True, False, False]
    assert found.option(Way.BLUE_GREEN).reason == "its reservation has 0 free instances, 4 are needed"


def test_a_group_at_its_maximum_cannot_surge() -> None:
    assert planned(group=Group(4, 4)).option(Way.SURGE).reason == "its group may have 4 nodes and has 4; raise MaxSize"


def test_a_version_of_another_name_is_only_deployed_beside() -> None:
    found = planned(same_name=False)
    assert [option.fits for option in found.options] == [False, False, True]


def test_what_cannot_be_copied_is_not_deployed_beside() -> None:
    found = planned(group=Group(4, 8, obstacle="its group has a mixed instances policy"))
    assert found.option(Way.BLUE_GREEN).reason == "its group has a mixed instances policy"


def test_where_nobody_knows_what_is_launched_nothing_is_promised() -> None:
    found = planned(launches=Launches((), ("gpu-a launches by the market type capacity-block",)))
    assert [option.fits for option in found.options] == [True, False, False]
    assert "nobody knows beforehand" in found.option(Way.SURGE).reason


def test_nothing_fits_is_said() -> None:
    found = planned(group=None, healthy=2)
    assert found.chosen is None
    assert found.text.startswith(f"{ACTIVE}: nothing fits the GPUs that there are.")
    assert found.option(Way.ROLLING).reason == "1 healthy of 4 replicas would be left"


def test_a_way_that_was_asked_for_is_taken_or_refused_never_exchanged() -> None:
    assert planned(Way.ROLLING).chosen is Way.ROLLING
    found = planned(Way.BLUE_GREEN, quotas={CODE: 64.0})
    assert found.chosen is None
    assert found.text.startswith(f"{ACTIVE}: blue/green does not fit.")


@pytest.mark.parametrize("spared", [Fit(0.5, "half"), Fit(None, "not known")])
def test_a_standby_without_traffic_spares_what_leaves_half(spared: Fit) -> None:
    assert planned(has_traffic=False, spared=spared).option(Way.ROLLING).fits


def test_how_long_it_takes_is_what_its_deadlines_add_up_to() -> None:
    rolling = planned().option(Way.ROLLING)
    assert rolling.takes == Span(4 * (3 + 12.8 + 60), 4 * (60 + 1200 + 120 + 60))
    assert rolling.abort == Span(0, 4 * (60 + 1200 + 120))
    green = planned().option(Way.BLUE_GREEN)
    assert green.takes == Span(12.8 + 2 * 120 + 3600, 900 + 1200 + 900 + 2 * (120 + 900 + 300) + 3600)
    assert green.abort == Span(5, 50)
    assert str(green.takes) == "64 min to 2 h 34 min"


def test_a_standby_is_not_shifted() -> None:
    with_traffic, without = (planned(has_traffic=each).option(Way.BLUE_GREEN).takes for each in (True, False))
    assert with_traffic.least - without.least == 240
