"""An event loop whose time jumps: when every task waits, the clock stands at the next timer at once.

Blocking calls handed to `asyncio.to_thread` run on the loop's own thread, so that a test is the same in every run.
Their answers may take a given time of the loop's.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

ResultT = TypeVar("ResultT")
Arguments = ParamSpec("Arguments")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time on. Only timers are waited for: there is no network in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits for something that no timer will bring")
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at zero. `call_seconds` is how long every call through `asyncio.to_thread` takes."""

    def __init__(self, call_seconds: float = 0.0) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.set_default_executor(_InlineExecutor(self, call_seconds))

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._jumping.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's name
        """Nothing to do: no thread was started, and waiting for one would need real time."""


class _InlineExecutor(ThreadPoolExecutor):
    """Calls at once, on the loop's thread; hands the answer over `seconds` later. Starts no thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        super().__init__(max_workers=1)
        self._loop = loop
        self._seconds = seconds

    def submit(
        self, fn: Callable[Arguments, ResultT], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[ResultT]:
        """The future of a call that was made already."""
        future: Future[ResultT] = Future()
        try:
            result = fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever the call raised belongs to whoever awaits it
            self._loop.call_later(self._seconds, future.set_exception, error)
        else:
            self._loop.call_later(self._seconds, future.set_result, result)
        return future


def run(work: Coroutine[Any, Any, ResultT], *, call_seconds: float = 0.0) -> ResultT:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(call_seconds)) as runner:
        return runner.run(work)
