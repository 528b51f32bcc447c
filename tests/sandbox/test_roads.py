"""Who reaches a front door, how long the way is, and a front door that goes dark."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.routing import Roads

HERE, REGION = "127.0.0.1", "127.0.100.1"


@pytest.fixture(scope="module")
def door() -> Iterator[FrontDoor]:
    with FrontDoor() as opened:
        yield opened


def status(door: FrontDoor, source: str = HERE) -> int | None:
    """What a connection from an address is answered; None for nothing in half a second."""
    transport = httpx.HTTPTransport(local_address=source)
    try:
        with httpx.Client(transport=transport, timeout=0.5) as client:
            return client.get(door.url).status_code
    except httpx.TimeoutException:
        return None


def test_without_roads_everybody_arrives(door: FrontDoor) -> None:
    assert (status(door), status(door, REGION)) == (404, 404)


def test_a_road_that_is_closed_brings_nothing_and_the_others_do(door: FrontDoor) -> None:
    door.take_roads(Roads({REGION: 0.0}, closed=(REGION,)))
    assert (status(door), status(door, REGION)) == (404, None)
    door.take_roads(Roads({REGION: 0.0}, others_closed=True))
    assert (status(door), status(door, REGION)) == (None, 404)
    door.take_roads(Roads())
    assert status(door) == 404


def test_a_long_road_takes_its_time(door: FrontDoor) -> None:
    door.take_roads(Roads({REGION: 0.2}))
    began = time.monotonic()
    assert status(door, REGION) == 404
    assert time.monotonic() - began >= 0.2
    door.take_roads(Roads())


def test_a_door_that_is_dark_takes_connections_and_answers_none(door: FrontDoor) -> None:
    door.go_dark()
    try:
        assert status(door) is None
    finally:
        door.come_back()
    assert status(door) == 404
