"""Clock, by the execution environment's own: AWS keeps it by the Amazon Time Sync Service."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The time here."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait, and let others run."""
        await asyncio.sleep(seconds)
