"""Proof that the user path serves, in virtual time."""

from __future__ import annotations

import pytest

from standfast.errors import NotServingError
from standfast.serving import PATIENCE_SECONDS, Served, wait_until_serving
from tests import builders, virtual_time
from tests.builders import ENTRY_URL, NOW, STANDBY
from tests.fakes import BAD_GATEWAY, HANGS, Behaviour, FakeClock, FakeProber


async def _wait(first: Behaviour, changes_at: float | None = None) -> tuple[int, float]:
    import asyncio

    clock = FakeClock(NOW)
    prober = FakeProber(clock)
    prober.set(ENTRY_URL, first)
    if changes_at is not None:
        asyncio.get_running_loop().call_later(changes_at, prober.set, ENTRY_URL, Behaviour())
    served = await wait_until_serving(ENTRY_URL, builders.fleet().model, prober, clock)
    assert not served.saturated
    return served.canaries, clock.now() - NOW


def test_three_answers_in_a_row_prove_it() -> None:
    asked, seconds = virtual_time.run(_wait(Behaviour()))
    assert asked == 3
    assert seconds < 1


def test_it_waits_for_the_load_balancer_to_follow() -> None:
    asked, seconds = virtual_time.run(_wait(BAD_GATEWAY, changes_at=2.5))
    assert asked > 3
    assert 2.5 < seconds < 4


@pytest.mark.parametrize("behaviour", [BAD_GATEWAY, HANGS])
def test_a_path_that_does_not_serve_is_said_in_time(behaviour: Behaviour) -> None:
    with pytest.raises(NotServingError, match=f"did not answer 3 canaries in a row in {PATIENCE_SECONDS:g} s"):
        virtual_time.run(_wait(behaviour))


BUSY = Behaviour(seconds=float("inf"), progress=lambda now: 100.0 * now)
WEDGED = Behaviour(seconds=float("inf"), progress=lambda now: 7.0)
MUTE = Behaviour(seconds=float("inf"))


async def _wait_for(entry: Behaviour, *replicas: Behaviour) -> Served:
    clock = FakeClock(NOW)
    prober = FakeProber(clock)
    prober.set(ENTRY_URL, entry)
    addresses = builders.addresses(STANDBY, len(replicas))
    for address, behaviour in zip(addresses, replicas, strict=True):
        prober.set(address.url, behaviour)
    return await wait_until_serving(ENTRY_URL, builders.fleet().model, prober, clock, addresses)


@pytest.mark.parametrize("replicas", [(BUSY, BUSY), (BUSY, WEDGED), (BUSY, Behaviour())])
def test_a_cluster_that_is_late_because_it_works_all_the_time_serves(replicas: tuple[Behaviour, ...]) -> None:
    assert virtual_time.run(_wait_for(HANGS, *replicas)) == Served(1, saturated=True)


@pytest.mark.parametrize(
    ("entry", "replicas"),
    [
        (HANGS, (WEDGED, WEDGED)),  # nothing moves
        (HANGS, (MUTE, MUTE)),  # nothing is said
        (HANGS, (Behaviour(), Behaviour())),  # they are idle, so the path to them is broken
        (HANGS, (BUSY, WEDGED, WEDGED)),  # most are wedged
        (HANGS, ()),
        (BAD_GATEWAY, (BUSY, BUSY)),  # the traffic does not come there
    ],
)
def test_nothing_else_excuses_an_entry_that_does_not_answer(entry: Behaviour, replicas: tuple[Behaviour, ...]) -> None:
    with pytest.raises(NotServingError):
        virtual_time.run(_wait_for(entry, *replicas))
