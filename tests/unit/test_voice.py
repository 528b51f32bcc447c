"""The condemnation endpoint: 200 says that a Region must not serve; everything else says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from standfast.errors import AccessDeniedError, UnavailableError
from standfast.region_ports import Condemnation, RegionRecord
from standfast.voice import MOST_SECONDS, READ_SECONDS, Voice, asked_for
from tests.builders import NOW
from tests.region_builders import EAST, WATCHER, WEST


class Moment:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at


class Glanced:
    """RegionStore, as far as the endpoint asks it."""

    def __init__(self, *condemned: str, valid_until: float = NOW + 120) -> None:
        self.record = RegionRecord(
            condemned={
                region: Condemnation(region, (WEST, WATCHER), "lost", "incident", NOW, valid_until, 3)
                for region in condemned
            }
        )
        self.error: Exception | None = None
        self.reads = 0

    def glance_at_regions(self) -> RegionRecord:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.record


def voice(store: Glanced, clock: Moment | None = None) -> Voice:
    return Voice(store, clock or Moment())  # type: ignore[arg-type]  # of each one method is asked


def test_it_repeats_what_this_region_holds_and_nothing_else() -> None:
    said = voice(Glanced(EAST))
    assert said.condemns(EAST)
    assert not said.condemns(WEST)
    assert not said.condemns("no-such-region")


def test_a_condemnation_that_nobody_kept_fresh_is_not_repeated() -> None:
    assert not voice(Glanced(EAST, valid_until=NOW)).condemns(EAST)


def test_a_flood_costs_one_read_a_second() -> None:
    store, clock = Glanced(EAST), Moment()
    said = voice(store, clock)
    for _ in range(100):
        said.condemns(EAST)
    assert store.reads == 1
    clock.at += READ_SECONDS
    said.condemns(EAST)
    assert store.reads == 2


@pytest.mark.parametrize("error", [UnavailableError("cut off"), AccessDeniedError("no")])
def test_what_was_read_is_repeated_for_a_while_when_the_table_is_silent_and_then_not(error: Exception) -> None:
    store, clock = Glanced(EAST), Moment()
    said = voice(store, clock)
    assert said.condemns(EAST)
    store.error = error
    clock.at += MOST_SECONDS
    assert said.condemns(EAST)
    clock.at += 0.5
    assert not said.condemns(EAST)


def test_one_that_never_read_anything_abstains() -> None:
    store = Glanced(EAST)
    store.error = UnavailableError("cut off")
    assert not voice(store).condemns(EAST)


def request(method: str, path: str) -> dict[str, Any]:
    return {"rawPath": path, "requestContext": {"http": {"method": method}}}


def test_only_a_get_of_a_region_is_asked() -> None:
    assert asked_for(request("GET", "/condemned/us-east-1")) == "us-east-1"
    for event in (request("POST", "/condemned/us-east-1"), request("GET", "/"), request("GET", "/health"), {}):
        assert asked_for(event) == ""
