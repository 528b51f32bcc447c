"""What the sandbox builds: the fleet's Regions, their clusters, and who watches. Quick to import: no AWS in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
FLEET: Final = "standfast"
FAST_PATH: Final = ("take-lease", "probe-standbys", "select-standby", "shift-traffic", "verify-serving")
"""The functions between a decision and the proof that it helped."""
PREFLIGHT: Final = f"{FLEET}-preflight"
"""The schedule that proves every five minutes that a failover would work, and keeps its functions warm."""
CLIENTS: Final = 8
REQUESTS_PER_SECOND: Final = 24.0
SLOTS: Final = 4
"""Requests that a replica serves at once, where a scenario does not want others."""
LOW_PRIORITY_HEADER: Final = "x-priority"
LOW_PRIORITY_VALUES: Final = ("batch", "low")
"""Every entry has a rule for these. Only where a scenario's FleetConfig names that does Standfast know of it."""


class SandboxError(RuntimeError):
    """The sandbox could not do what it was asked to. The message says what and why."""


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """One Region's clusters: who is active at the beginning, who stands by, and how many replicas each has."""

    name: str
    primary: str
    standby: str
    primary_replicas: int = 4
    standby_replicas: int = 2

    @property
    def replicas(self) -> Mapping[str, int]:
        """Cluster id -> replicas."""
        return {self.primary: self.primary_replicas, self.standby: self.standby_replicas}


PLANS: Final[Mapping[str, RegionPlan]] = {
    plan.name: plan
    for plan in (RegionPlan("us-east-1", "use1-a", "use1-b"), RegionPlan("us-west-2", "usw2-a", "usw2-b"))
}
REGIONS: Final = tuple(PLANS)
WATCHER: Final = "us-east-2"
"""Has no clusters and looks at the others. With it a fleet of two Regions has the three of a shared table."""
