"""Where the seconds of a Region's loss go, and what its scenarios call a fault."""

from __future__ import annotations

from sandbox.aws.name_service import StatusChange
from sandbox.edge import Departure, first_end
from sandbox.figures import Outage
from sandbox.scenarios import region_failover, region_gray, region_return, switchover
from standfast.region_ports import Condemnation
from tests.region_builders import EAST, WATCHER, WEST

FAULT = 1000.0
CONDEMNED = Condemnation(EAST, (WATCHER, WEST), "it fails its users", "e-1", FAULT + 14.0, FAULT + 134.0, 1)


def departure(**changes: object) -> Departure:
    found = Departure(
        EAST,
        FAULT,
        seen_at=FAULT + 3.0,
        condemnation=CONDEMNED,
        left_at=FAULT + 19.0,
        outage=Outage(FAULT + 0.1, FAULT + 37.1, 600, 90, 0),
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def test_the_seconds_of_a_loss_add_up_from_the_fault_to_the_last_client() -> None:
    figures = departure().figures()
    parts = ("detect_seconds", "quorum_seconds", "health_check_seconds", "ttl_seconds")
    assert [figures[part] for part in parts] == [3.0, 11.0, 5.0, 18.1]
    assert (figures["recovery_seconds"], figures["own_seconds"], figures["failed_requests"]) == (37.0, 14.0, 90)
    assert sum(figures[part] for part in parts) == figures["recovery_seconds"] + 0.1


def test_where_nobody_condemned_it_the_front_door_check_has_the_time_since_the_fault() -> None:
    found = departure(condemnation=None, left_at=FAULT + 31.0)
    assert (found.figures()["own_seconds"], found.figures()["health_check_seconds"]) == (None, 31.0)
    assert "by the front-door check alone" in {moment.detail for moment in found.timeline("gone")}


def test_a_region_that_nobody_left_has_no_time_for_it() -> None:
    found = departure(left_at=None, outage=Outage(FAULT, None, 600, 600, 0))
    assert (found.figures()["recovery_seconds"], found.figures()["ttl_seconds"]) == (None, None)


def test_a_region_is_left_at_the_first_end_of_its_own_check_after_the_fault() -> None:
    changes = [
        StatusChange(FAULT - 50.0, "east", healthy=False),
        StatusChange(FAULT - 40.0, "east", healthy=True),
        StatusChange(FAULT + 5.0, "west", healthy=False),
        StatusChange(FAULT + 9.0, "east", healthy=False),
        StatusChange(FAULT + 90.0, "east", healthy=False),
    ]
    assert first_end(changes, "east", FAULT) == FAULT + 9.0
    assert first_end(changes[:3], "east", FAULT) is None


def test_a_loss_passes_within_its_times_with_nobody_else_harmed_and_somebody_told() -> None:
    good = departure().figures() | {"failed_requests_elsewhere": 0, "pages": 1}
    assert region_failover.problems(good) == []
    assert region_failover.problems(good | {"recovery_seconds": 90.5}) == [
        "recovery_seconds: 90.5, 90 at most is wanted"
    ]
    assert region_failover.problems(good | {"own_seconds": None}) == ["own_seconds: None, 20 at most is wanted"]
    assert region_failover.problems(good | {"failed_requests_elsewhere": 2, "pages": 0}) == [
        "failed_requests_elsewhere: 2, 0 is wanted",
        "nobody was paged",
    ]


def test_a_gray_region_must_be_condemned_for_its_front_door_never_shuts() -> None:
    good = departure().figures() | {"failed_requests_elsewhere": 0, "front_door_failures": 0, "pages": 1}
    assert region_gray.problems(good) == []
    assert region_gray.problems(good | {"own_seconds": None, "front_door_failures": 1}) == [
        "nobody condemned it",
        "front_door_failures: 1, 0 is wanted",
    ]


def test_a_switchover_wants_thousands_of_requests_none_of_them_failed_and_everybody_there() -> None:
    good = {"requests": 5000, "failed_requests": 0, "shed_requests": 0, "still_at_source": 0, "pages": 0,
            "weights": {EAST: 0, WEST: 255}}  # fmt: skip
    assert switchover.problems(good, EAST, WEST) == []
    assert switchover.problems(good | {"requests": 4999, "failed_requests": 1}, EAST, WEST) == [
        "failed_requests: 1, 0 is wanted",
        "requests: 4999, 5000 at least are wanted",
    ]
    assert switchover.problems(good | {"weights": {EAST: 26, WEST: 229}}, EAST, WEST) == [
        "the records say {'us-east-1': 26, 'us-west-2': 229}"
    ]


def test_a_return_is_refused_at_once_and_brings_everybody_home_later() -> None:
    good = {"failed_requests": 0, "refused_before_hold_down": True, "returned": True, "away_before": True,
            "not_home_after": 0, "condemned_after": False, "weights": {EAST: 255, WEST: 0}}  # fmt: skip
    assert region_return.problems(good, EAST, WEST) == []
    bad = good | {"refused_before_hold_down": False, "not_home_after": 3, "condemned_after": True}
    assert region_return.problems(bad, EAST, WEST) == [
        "not_home_after: 3, 0 is wanted",
        "refused_before_hold_down did not hold",
        "us-east-1 is condemned still",
    ]
