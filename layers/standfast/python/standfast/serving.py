"""Proof that the user path serves: canaries through the entry, as users ask.

A cluster that the traffic saturates at once serves too, only not the canaries in time: it works without a pause. To
call it dead would make a failover of every cluster that is smaller than the load end in nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.errors import NotServingError
from standfast.health import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model, ReplicaAddress
    from standfast.ports import Clock, Prober

IN_A_ROW = 3
"""Canaries in a row that prove it. One could have met the only healthy replica."""
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 12.0
"""An ELB takes 1-3 s to use new weights; a canary may take its whole deadline."""


@dataclass(frozen=True, slots=True)
class Served:
    """How it was proven: so many canaries were asked; `saturated` when the replicas work and answer too late."""

    canaries: int
    saturated: bool = False


async def wait_until_serving(
    url: str, model: Model, prober: Prober, clock: Clock, replicas: Sequence[ReplicaAddress] = ()
) -> Served:
    """Ask the entry until it answers three canaries in a row.

    A canary that is not answered in time proves it too, when `replicas`, those of the cluster that took the traffic,
    are saturated. Raises NotServingError with the last failure when it takes more than 12 s.
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
        if probe.outcome is Outcome.TIMED_OUT and await _saturated(replicas, model, prober):
            return Served(asked, saturated=True)
        await clock.sleep(PAUSE_SECONDS)
    return Served(asked)


async def _saturated(replicas: Sequence[ReplicaAddress], model: Model, prober: Prober) -> bool:
    """Whether at least half of the replicas are late although their counter of decoded work moves."""
    late = await asyncio.gather(*(_late_and_working(address.url, model, prober) for address in replicas))
    return any(late) and 2 * sum(late) >= len(late)


async def _late_and_working(url: str, model: Model, prober: Prober) -> bool:
    first = await prober.ask(url, model.name, model.canary, progress=True)
    if first.outcome is not Outcome.TIMED_OUT or first.progress is None:
        return False
    second = await prober.ask(url, model.name, model.canary, progress=True)
    return second.progress is not None and second.progress > first.progress
