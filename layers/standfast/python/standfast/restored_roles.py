"""The roles that a restore writes: the backup's, of the clusters that the Region has now. Pure.

A blue/green deployment may have replaced a cluster since the backup. A role of what is no cluster any more would stand
in the way of the next configuration, which does not name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.failover import FAILED
from standfast.fleet import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from standfast.fleet import Region
    from standfast.traffic import Desired


def gone(goal: Desired, region: Region) -> list[str]:
    """The clusters of a backup that the Region has no more, a sentence each."""
    names = sorted(set(goal.roles) - set(region.clusters))
    return [f"{name} is no cluster of this Region any more and gets no role" for name in names]


def roles(goal: Desired, present: Desired | None, first: str, names: Iterable[str]) -> dict[str, Role]:
    """The roles of these clusters, with *active* for `first`, where the traffic is, and for no other."""
    restored = {name: role(name, goal, present) for name in names}
    for name, each in restored.items():
        if name != first and each is Role.ACTIVE:
            restored[name] = Role.STANDBY
    return {**restored, first: Role.ACTIVE}


def role(name: str, goal: Desired, present: Desired | None) -> Role:
    """The backup's, but what failed since stays so, and what the backup does not know stays what it is."""
    here = present.roles.get(name, Role.STANDBY) if present else Role.STANDBY
    return here if here in FAILED else goal.roles.get(name, here)
