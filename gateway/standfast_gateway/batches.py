"""Writes that wait a few milliseconds for others to go with them: one call for up to 25 items."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from standfast_gateway.settings import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from standfast_gateway.layout import Item

MOST_ITEMS = 25
"""BatchWriteItem takes no more."""
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Waits before DynamoDB is asked again for what it left out: it leaves out what it throttles."""


class Batches:
    """`write` puts up to 25 items and answers those that were left out; what it raises, whoever waits is told."""

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Item]]], linger_seconds: float) -> None:
        self._write = write
        self._linger = linger_seconds
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def put(self, *items: Item) -> None:
        """Return once all items are written. Raises UnavailableError when one of them is not."""
        loop = asyncio.get_running_loop()
        written = [loop.create_future() for _ in items]
        self._waiting += zip(items, written, strict=True)
        if len(self._waiting) >= MOST_ITEMS:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._linger, self._send)
        results = await asyncio.gather(*written, return_exceptions=True)
        failed = next((result for result in results if isinstance(result, BaseException)), None)
        if failed is not None:
            raise failed

    async def flush(self) -> None:
        """Return once nothing is under way."""
        if self._timer is not None:
            self._send()
        while self._under_way:
            await asyncio.gather(*self._under_way)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_ITEMS], self._waiting[MOST_ITEMS:]
            task = asyncio.create_task(self._written(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _written(self, batch: list[tuple[Item, asyncio.Future[None]]]) -> None:
        left = batch
        try:
            for wait in (*RETRY_SECONDS, None):
                out = await self._write([item for item, _ in left])
                names = [(item["pk"], item["sk"]) for item in out]
                for item, future in left:
                    if (item["pk"], item["sk"]) not in names and not future.done():
                        future.set_result(None)
                left = [(item, future) for item, future in left if (item["pk"], item["sk"]) in names]
                if not left:
                    return
                if wait is not None:
                    await asyncio.sleep(wait)
            error = UnavailableError(f"the table left out {len(left)} items again and again: it is throttled")
        except UnavailableError as raised:
            error = raised
        for _, future in left:
            if not future.done():
                future.set_exception(error)
