"""Proof that the user path serves, in virtual time."""

from __future__ import annotations

import pytest

from standfast.errors import NotServingError
from standfast.serving import PATIENCE_SECONDS, wait_until_serving
from tests import builders, virtual_time
from tests.builders import ENTRY_URL, NOW
from tests.fakes import BAD_GATEWAY, HANGS, Behaviour, FakeClock, FakeProber


async def _wait(first: Behaviour, changes_at: float | None = None) -> tuple[int, float]:
    import asyncio

    clock = FakeClock(NOW)
    prober = FakeProber(clock)
    prober.set(ENTRY_URL, first)
    if changes_at is not None:
        asyncio.get_running_loop().call_later(changes_at, prober.set, ENTRY_URL, Behaviour())
    asked = await wait_until_serving(ENTRY_URL, builders.fleet().model, prober, clock)
    return asked, clock.now() - NOW


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
