"""The virtual clock that the watch is tested by."""

from __future__ import annotations

import asyncio

import pytest

from tests import virtual_time


def test_an_hour_passes_in_order() -> None:
    order: list[str] = []

    async def after(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def both() -> float:
        await asyncio.gather(after(3600, "late"), after(1, "early"))
        return asyncio.get_running_loop().time()

    assert virtual_time.run(both()) == pytest.approx(3600)
    assert order == ["early", "late"]


def test_a_call_on_a_thread_takes_its_virtual_time_and_raises_what_it_raised() -> None:
    async def calls() -> tuple[int, float]:
        answer = await asyncio.to_thread(lambda: 42)
        with pytest.raises(ValueError, match="as it was"):
            await asyncio.to_thread(int, "as it was")
        return answer, asyncio.get_running_loop().time()

    answer, passed = virtual_time.run(calls(), call_seconds=0.25)
    assert answer == 42
    assert passed == pytest.approx(0.5)


def test_a_deadlock_is_an_error_and_not_a_hang() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="every task waits"):
        virtual_time.run(waits())
