"""Whether AWS's quotas let all clusters of a Region be whole at once, before one must be rebuilt. Pure.

A failover itself launches nothing. The rebuilding of a lost standby launches as many instances as its Auto Scaling
group wants, beside those of the cluster that serves; an account that may not run them all learns it in the outage. So
what is needed of a quota is the vCPUs of all instances that the groups of the Region's clusters want (DesiredCapacity),
whether they run or not: a recovery terminates before it replaces, and what is terminated counts no more.

| how a group launches | counts as |
|---|---|
| On-Demand | its vCPUs, of the On-Demand quota of its family |
| On-Demand in a Capacity Reservation | the same: reserved capacity counts, used or not (EC2 guide, its limits) |
| Spot, by its launch template | its vCPUs, of the Spot quota of its family |
| into a Capacity Block, by a mixed instances policy, without an instance type | not judged, and said |

What else the account runs counts too, and is not known here: a quota that suffices may be used up all the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from standfast.scaling import ASK_FOR_MORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CATALOGUE = Path(__file__).parent / "catalogue" / "ec2_quotas.json"


class Market(StrEnum):
    """How instances are bought, where quotas of their own count them."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of EC2, counted in vCPUs. `types` is what the instance types look like that it counts."""

    code: str
    name: str
    market: str
    types: str

    def counts(self, launch: Launch) -> bool:
        """Whether what is launched uses it."""
        return self.market == launch.market and re.fullmatch(self.types, launch.instance_type) is not None


@dataclass(frozen=True, slots=True)
class Launch:
    """What one Auto Scaling group wants to run: so many instances of a type with so many vCPUs each."""

    cluster_id: str
    group: str
    instance_type: str
    instances: int
    vcpus: int
    market: Market = Market.ON_DEMAND

    @property
    def needs(self) -> int:
        """In vCPUs."""
        return self.instances * self.vcpus

    def __str__(self) -> str:
        """For a notice."""
        return f"{self.cluster_id} {self.instances} x {self.instance_type} = {self.needs}"


@dataclass(frozen=True, slots=True)
class Launches:
    """What the groups of some clusters want. `unjudged` says of which nobody knows beforehand what they launch."""

    known: tuple[Launch, ...]
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`short` are the quotas that do not suffice, `notes` those that do and what was not judged: a sentence each."""

    short: tuple[str, ...]
    notes: tuple[str, ...]


class Launching(Protocol):
    """Auto Scaling and EC2, as far as they say what a cluster is made of."""

    def launches(self, cluster_ids: Sequence[str]) -> Launches:
        """Of the groups with these clusters' tag. Raises what ports raise."""
        ...


class ServiceQuotas(Protocol):
    """Service Quotas, for EC2 in this Region."""

    def value(self, code: str) -> float:
        """What the account may use at once. Raises what ports raise, and StandfastError where AWS tells no value."""
        ...


@cache
def catalogue() -> tuple[Quota, ...]:
    """The quotas that count GPU instances."""
    return tuple(Quota(**row) for row in json.loads(_CATALOGUE.read_text(encoding="utf-8"))["quotas"])


def quota_of(launch: Launch) -> Quota | None:
    """The quota that counts it; None where none is known."""
    return next((quota for quota in catalogue() if quota.counts(launch)), None)


def asked(found: Launches) -> list[str]:
    """The codes of the quotas that must be read to decide, each once."""
    quotas = (quota_of(launch) for launch in found.known if launch.needs)
    return list(dict.fromkeys(quota.code for quota in quotas if quota is not None))


def decide(region: str, found: Launches, values: Mapping[str, float]) -> Decision:
    """What is short. `values`: code -> vCPUs, of every code that `asked` names."""
    short, enough = [], []
    unjudged = [f"{each}; no quota was looked at for it" for each in found.unjudged]
    counted: dict[Quota, list[Launch]] = {}
    for launch in found.known:
        quota = quota_of(launch)
        if quota is not None:
            counted.setdefault(quota, []).append(launch)
        else:
            unjudged.append(
                f"{launch.group} launches {launch.instance_type} ({launch.market}), whose quota is not known"
            )
    for quota, launches in counted.items():
        needs = sum(launch.needs for launch in launches)
        if not needs:
            continue
        has = values[quota.code]
        said = f"{quota.name} ({quota.code}) of {region} is {has:g} vCPUs, and {needs} are needed"
        of = ", ".join(str(launch) for launch in launches if launch.needs)
        if has < needs:
            short.append(
                f"the quota {said} for all clusters to run ({of}): what is lost can then not be rebuilt. "
                f"To mend it, {ASK_FOR_MORE}"
            )
        else:
            enough.append(f"{said} ({of}), beside what else this account runs")
    return Decision(tuple(short), (*enough, *unjudged))
