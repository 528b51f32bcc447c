"""Proof that the user path serves: canaries through the entry, as users ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.errors import NotServingError

if TYPE_CHECKING:
    from standfast.fleet import Model
    from standfast.ports import Clock, Prober

IN_A_ROW = 3
"""Canaries in a row that prove it. One could have met the only healthy replica."""
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 12.0
"""An ELB takes 1-3 s to use new weights; a canary may take its whole deadline."""


async def wait_until_serving(url: str, model: Model, prober: Prober, clock: Clock) -> int:
    """Ask the entry until it answers three canaries in a row. Returns how many were asked.

    Raises NotServingError with the last failure when that takes more than 12 s.
    """
    patience_ends = clock.now() + PATIENCE_SECONDS
    asked = answered = 0
    said = "nothing was asked"
    while answered < IN_A_ROW:
        if clock.now() >= patience_ends:
            raise NotServingError(
                f"{url} did not answer {IN_A_ROW} canaries in a row in {PATIENCE_SECONDS:g} s: {said}"
            )
        probe = await prober.ask(url, model.name, model.canary)
        asked += 1
        answered = answered + 1 if probe.passed else 0
        said = f"{probe.outcome} {probe.detail}".strip()
        await clock.sleep(PAUSE_SECONDS)
    return asked
