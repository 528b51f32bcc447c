"""The brake: the fleet's automation switch, and those of single Regions and clusters. The strictest that applies holds.

| switch | set for | stops |
|---|---|---|
| fleet | everybody | all automation |
| `region/<name>` | one Region | what changes that Region's entry |
| `cluster/<id>` | one cluster | what moves its traffic away or to it, and what mends it |

A fleet whose switch nobody has set observes. A Region or cluster without a switch of its own goes by the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.errors import AutomationOffError, InvalidInputError, UnknownClusterError
from standfast.fleet import Automation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from standfast.fleet import FleetConfig

_STRICTEST_FIRST = (Automation.OFF, Automation.OBSERVE, Automation.RUN)
FLEET = "fleet"


class Reach(StrEnum):
    """How much of the fleet a switch is for."""

    FLEET = "fleet"
    REGION = "region"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch, with who set it and why. `scope`: `fleet`, `region/<name>` or `cluster/<id>`."""

    automation: Automation
    reason: str
    set_by: str
    set_at: float
    scope: str = FLEET

    def __str__(self) -> str:
        """What it says and who says so, for a page."""
        said = f"{self.automation} for {in_words(self.scope)} ({self.reason}"
        return f"{said}; set by {self.set_by})" if self.set_by else f"{said})"


NEVER_SET = Switch(Automation.OBSERVE, "nobody has set the switch yet; a new fleet observes", "", 0.0)


@dataclass(frozen=True, slots=True)
class Brake:
    """All switches that there are. `others` is scope -> the switch of a Region or a cluster.

    `frozen` says why no rollout and no other planned move of clusters may go on: a Region is out, or on its way. Empty
    where none is.
    """

    fleet: Switch = NEVER_SET
    others: Mapping[str, Switch] = field(default_factory=dict)
    frozen: str = ""

    def at(self, scope: str) -> Switch | None:
        """The switch of exactly this scope, None where nobody has set one."""
        return self.others.get(scope) if scope != FLEET else (None if self.fleet is NEVER_SET else self.fleet)

    def of(self, region: str, *cluster_ids: str) -> Switch:
        """The switch that holds for a Region and, where they are named, some of its clusters: the strictest."""
        scopes = [region_scope(region), *(cluster_scope(name) for name in cluster_ids)]
        found = [self.fleet, *(self.others[scope] for scope in scopes if scope in self.others)]
        return min(found, key=lambda switch: _STRICTEST_FIRST.index(switch.automation))

    def held(self, cluster_ids: Iterable[str]) -> dict[str, str]:
        """The clusters that their own switch keeps automation away from, with the reason."""
        own = {name: self.others.get(cluster_scope(name)) for name in cluster_ids}
        return {
            name: f"the switch says {switch}"
            for name, switch in own.items()
            if switch is not None and switch.automation is not Automation.RUN
        }

    def why_not(self, region: str, *cluster_ids: str) -> str:
        """Why nothing may be changed there, in words; empty where it may."""
        held = self.of(region, *cluster_ids)
        return "" if held.automation is Automation.RUN else f"the switch says {held}"


@dataclass(frozen=True, slots=True)
class Override:
    """Break-glass: somebody overrides the brake for one execution, under their name."""

    by: str
    reason: str

    def __str__(self) -> str:
        """For a page."""
        return f"{self.by} broke the glass: {self.reason}"


def check_still_runs(brake: Brake, region: str, *cluster_ids: str) -> None:
    """Before a change of traffic: raises AutomationOffError when the brake was pulled since the execution began."""
    if why_not := brake.why_not(region, *cluster_ids):
        raise AutomationOffError(f"{why_not}: it was set after this execution had begun, which changes nothing more")


def check_not_frozen(brake: Brake) -> None:
    """Before a rollout begins, and before each of its stages: raises AutomationOffError while Regions are moved."""
    if brake.frozen:
        raise AutomationOffError(f"rollouts are frozen: {brake.frozen}")


def region_scope(region: str) -> str:
    """The scope of a Region's switch."""
    return f"{Reach.REGION}/{region}"


def cluster_scope(cluster_id: str) -> str:
    """The scope of a cluster's switch."""
    return f"{Reach.CLUSTER}/{cluster_id}"


def scope_of(config: FleetConfig, region: str | None, cluster_id: str | None) -> str:
    """The scope that a person names: the fleet's when neither is given.

    Raises InvalidInputError for an unknown Region, UnknownClusterError for an unknown cluster, with those there are.
    """
    if region and cluster_id:
        raise InvalidInputError("region and cluster_id: name one of them; a cluster is in one Region anyway")
    if region:
        config.region(region)
        return region_scope(region)
    if cluster_id:
        known = sorted(name for each in config.regions.values() for name in each.clusters)
        if cluster_id not in known:
            raise UnknownClusterError(f"cluster {cluster_id!r} is unknown; the fleet has {', '.join(known)}")
        return cluster_scope(cluster_id)
    return FLEET


def in_words(scope: str) -> str:
    """A scope for people: `the fleet`, `region us-east-1`."""
    reach, _, name = scope.partition("/")
    return "the fleet" if reach == Reach.FLEET else f"{reach} {name}"
