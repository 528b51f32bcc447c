"""The scenarios of two controllers, a flapping cluster and an observing fleet: what counts as passed."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.region import RuleChange
from sandbox.scenarios import flapping, observe_mode, split_brain
from tests.builders import ACTIVE, NOW, STANDBY

STAGE, MOVED, HOME = ({ACTIVE: 90, STANDBY: 10}, {ACTIVE: 0, STANDBY: 100}, {ACTIVE: 100, STANDBY: 0})
ONE_ACTED = {
    "acted_of_two": 1,
    "refused_of_two": 1,
    "failovers": 1,
    "stale_writes_tried": 9,
    "stale_writes_refused": 9,
    "stale_writes_applied": 0,
    "zero_weight_moments": 0,
    "failed_after_recovery": 0,
}
HELD_STILL = {
    "failovers": 1,
    "weight_changes": 1,
    "weight_changes_while_held": 0,
    "failed_after_second_fall": 0,
    "hold_down_seconds": [5.0, 10.0],
}
OBSERVED = {
    "weight_changes": 0,
    "pages": 1,
    "failovers": 1,
    "failed_after_recovery": 0,
    "seconds_from_run_to_served": 4.0,
}
PAGE = (
    "What would have been done: all traffic to use1-b; it is proven.\n"
    "Nothing was changed: the switch says observe for the fleet."
)


def changes(*weights: dict[str, int]) -> list[RuleChange]:
    return [RuleChange(NOW + number, each) for number, each in enumerate(weights)]


def test_a_stage_before_the_failover_moved_the_traffic_is_no_stray() -> None:
    assert split_brain.strays(changes(STAGE, MOVED), NOW, STANDBY) == []
    assert split_brain.strays(changes(STAGE), NOW, STANDBY) == []


def test_a_stage_that_comes_after_the_failover_moved_the_traffic_is_a_stray() -> None:
    found = split_brain.strays(changes(STAGE, MOVED, STAGE, MOVED, HOME), NOW, STANDBY)
    assert [change.weights for change in found] == [STAGE, HOME]


@pytest.mark.parametrize("key", [key for key in ONE_ACTED if not key.endswith(("tried", "refused"))])
def test_split_brain_passes_only_when_one_acted_and_nothing_stale_was_written(key: str) -> None:
    assert split_brain.problems(ONE_ACTED) == []
    assert split_brain.problems({**ONE_ACTED, key: 2}) == [f"{key} is 2, {ONE_ACTED[key]} is wanted"]
    assert split_brain.problems({**ONE_ACTED, "stale_writes_refused": 8}) == ["8 of 9 late writes were refused"]


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([5.0, 10.0, 20.0], True),
        ([5.0, 5.0], False),
        ([5.0, 20.0, 10.0], False),
        ([5.0], False),
        ([], False),
    ],
)
def test_a_hold_down_grows_when_each_is_longer_than_the_one_before(waits: list[float], expected: bool) -> None:
    assert flapping.grows(waits) is expected


def test_flapping_passes_with_one_failover_and_the_cluster_left_in_quarantine() -> None:
    assert flapping.problems(HELD_STILL, {ACTIVE: "quarantined"}, ACTIVE) == []
    assert flapping.problems({**HELD_STILL, "failovers": 2}, {ACTIVE: "active"}, ACTIVE) == [
        "failovers is 2, 1 is wanted",
        f"{ACTIVE} is active, quarantined is wanted",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weight_changes": 1}, "weight_changes is 1, 0 is wanted"),
        ({"pages": 2}, "pages is 2, 1 is wanted"),
        ({"failovers": 0}, "failovers is 0, 1 is wanted"),
        ({"seconds_from_run_to_served": None}, "the service did not recover"),
    ],
)
def test_observing_passes_when_nothing_changed_and_one_page_said_what_would_have_been_done(
    changed: dict[str, Any], words: str
) -> None:
    assert observe_mode.problems(OBSERVED, [PAGE], MOVED, STANDBY) == []
    (fault,) = observe_mode.problems({**OBSERVED, **changed}, [PAGE], MOVED, STANDBY)
    assert words in fault


def test_a_page_that_does_not_say_what_would_have_been_done_is_a_fault() -> None:
    faults = observe_mode.problems(OBSERVED, ["use1-a failed"], HOME, STANDBY)
    assert len(faults) == 3
    assert "the weights are" in faults[-1]
