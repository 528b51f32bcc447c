"""A round of the reconciler: everything that looks after a scope, in the order in which one builds on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from standfast.incident_keeping import IncidentKeeper
    from standfast.overload import OverloadGuard
    from standfast.ports import Clock
    from standfast.reconcile import Reconciler
    from standfast.rollout_ports import RollingUpdates

EVERY_SECONDS = 5
"""A stale holder's write to the rule lives so long (DESIGN.md, law 1)."""


async def look_after(
    reconciler: Reconciler,
    guard: OverloadGuard,
    keeper: IncidentKeeper,
    rollouts: RollingUpdates,
    clock: Clock,
    rounds: int,
) -> list[str]:
    """So many rounds, `EVERY_SECONDS` apart. Answers what was found, a sentence a round."""
    found: list[str] = []
    for done in range(rounds):
        began = clock.now()
        recovered = reconciler.recover(began)
        settled = reconciler.settle(clock.now()) + reconciler.settle_drain(clock.now())
        settled += reconciler.settle_move(clock.now()) + reconciler.put_back_updates(rollouts, clock.now())
        settled += reconciler.fail_back(clock.now())
        drift, overload = reconciler.verify(clock.now()), guard.look(clock.now())
        found.append(f"{recovered}{settled}; {drift}; {overload}{keeper.look(clock.now())}")
        if done + 1 < rounds:
            await clock.sleep(max(0.0, EVERY_SECONDS - (clock.now() - began)))
    return found
