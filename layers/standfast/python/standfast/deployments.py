"""Blue/green: a cluster of a new version beside the one that serves (blue), and the clusters that a Region then has.

Pure. FleetConfig names clusters; a deployment makes one more. Its record stands in the scope's desired state, fenced as
weights and roles are, so that whoever finds it without a holder of the lease can finish or undo it:

| phase | what is so | a crash is |
|---|---|---|
| provisioning | green is being made; no cluster of the fleet yet | undone |
| canary | green is a cluster of the fleet with the role *canary*: no failover chooses it | undone |
| held | green is active with all traffic, proven; blue stands by as the way back | undone |
| retiring | the pointer has flipped: green stands in blue's place, blue is no cluster any more and goes | finished |
| undoing | green is no cluster any more and goes | finished |

A cluster that was placed so stands in the fleet until FleetConfig names it itself, or says otherwise of the one before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.fleet import Role
from standfast.traffic import all_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.fleet import Region
    from standfast.model_versions import ModelVersion
    from standfast.stores import AppliedConfig
    from standfast.traffic import Desired, Weights

MOST_ATTEMPTS = 3
"""Executions that come to no end with what was left half-way; then it is a person's."""
_GREEN = re.compile(r"-g[0-9]+$")
_LONGEST_ID = 32


class Phase(StrEnum):
    """How far a deployment is."""

    PROVISIONING = "provisioning"
    CANARY = "canary"
    HELD = "held"
    RETIRING = "retiring"
    UNDOING = "undoing"


IN_THE_FLEET = frozenset({Phase.CANARY, Phase.HELD})
"""Green is a cluster of its Region beside blue."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment. `deployment_id` is the name of the execution that began it.

    `replicas` are green's; `target_group_arn` is empty until it is made. `undoing`: why it is given up; empty while it
    goes forward. `attempts`: executions that were to settle it so far.
    """

    deployment_id: str
    blue: str
    green: str
    to: ModelVersion
    replicas: int
    phase: Phase
    started_at: float
    target_group_arn: str = ""
    undoing: str = ""
    attempts: int = 0

    def provisioned(self, target_group_arn: str) -> Deployment:
        """With its target group, once that is made."""
        return replace(self, target_group_arn=target_group_arn)


@dataclass(frozen=True, slots=True)
class Placed:
    """A cluster that stands where FleetConfig names another one, `instead_of`, whose target group was `named_group`.

    Once FleetConfig names it itself, or gives the other one another target group, FleetConfig is the newer word.
    """

    instead_of: str
    named_group: str
    target_group_arn: str
    replicas: int


def green_id(blue: str, token: int) -> str:
    """The id of a new cluster: blue's without what an earlier deployment added, and the token, never given twice."""
    tail = f"-g{token}"
    return _GREEN.sub("", blue)[: _LONGEST_ID - len(tail)].rstrip("-") + tail


def in_force(applied: AppliedConfig, scope_id: str, desired: Desired) -> AppliedConfig:
    """The configuration with the clusters that the Region really has: what everybody but those who configure reads."""
    if not desired.placed and (desired.deployment is None or desired.deployment.phase not in IN_THE_FLEET):
        return applied
    if scope_id not in applied.config.regions:
        return applied
    region = with_placed(applied.config.region(scope_id), desired)
    config = applied.config.model_copy(update={"regions": {**applied.config.regions, scope_id: region}})
    return replace(applied, config=config, as_written=applied.config)


def with_placed(region: Region, desired: Desired) -> Region:
    """A Region of FleetConfig with what deployments made of it."""
    clusters = dict(region.clusters)
    for name, each in desired.placed.items():
        known = clusters.get(each.instead_of)
        if name in clusters or known is None or known.target_group_arn != each.named_group:
            continue
        del clusters[each.instead_of]
        clusters[name] = known.model_copy(update={"target_group_arn": each.target_group_arn, "replicas": each.replicas})
    under_way = desired.deployment
    if under_way is not None and under_way.phase in IN_THE_FLEET and under_way.blue in clusters:
        green = {"target_group_arn": under_way.target_group_arn, "replicas": under_way.replicas, "role": "standby"}
        clusters.setdefault(under_way.green, clusters[under_way.blue].model_copy(update=green))
    return region.model_copy(update={"clusters": clusters})


def placed_after(configured: Region, desired: Desired, deployment: Deployment) -> Mapping[str, Placed]:
    """What stands where, once green is in blue's place. `configured` is FleetConfig's own word.

    Where blue was placed itself, green takes its place: for one cluster of FleetConfig stands one.
    """
    kept = {name: each for name, each in desired.placed.items() if name != deployment.blue}
    before = desired.placed.get(deployment.blue)
    instead_of = deployment.blue if deployment.blue in configured.clusters or before is None else before.instead_of
    named = configured.clusters.get(instead_of)
    if named is None:
        return kept
    green = Placed(instead_of, named.target_group_arn, deployment.target_group_arn, deployment.replicas)
    return {**kept, deployment.green: green}


def joined(desired: Desired, deployment: Deployment) -> Mapping[str, Role]:
    """The roles once green is a cluster of the fleet, on trial."""
    return {**desired.roles, deployment.green: Role.CANARY}


def promoted(desired: Desired, deployment: Deployment) -> Mapping[str, Role]:
    """The roles once green has what blue had. Blue, which is well, stands by as the way back."""
    roles = dict(desired.roles)
    taken = roles.get(deployment.blue, Role.STANDBY)
    if taken is Role.ACTIVE:
        return {**roles, deployment.green: Role.ACTIVE, deployment.blue: Role.STANDBY}
    return {**roles, deployment.green: Role.STANDBY}


def without(desired: Desired, cluster_id: str) -> tuple[Weights, Mapping[str, Role]]:
    """Weights and roles without a cluster that has no traffic."""
    weights = {name: weight for name, weight in desired.weights.items() if name != cluster_id}
    return weights, {name: role for name, role in desired.roles.items() if name != cluster_id}


@dataclass(frozen=True, slots=True)
class WayBack:
    """What the traffic and the roles become when green is given up; `weights` None: green may not be left now."""

    reason: str
    weights: Weights | None = None
    roles: Mapping[str, Role] | None = None


def decide_way_back(desired: Desired, deployment: Deployment, serves: Mapping[str, bool]) -> WayBack:
    """Take all traffic from green: to blue while it serves, else to the active cluster that does (law 7).

    `serves`: cluster id -> whether the watch finds just now that it serves. A failover may have moved it all already.
    """
    green, blue = deployment.green, deployment.blue
    weights, roles = without(desired, green)
    active = {name for name, role in roles.items() if role is Role.ACTIVE}
    if not desired.weights.get(green, 0):
        if not active:  # roles name green alone, and its weight went elsewhere
            home = next((name for name, weight in sorted(weights.items()) if weight and name in roles), blue)
            roles = {**roles, home: Role.ACTIVE}
        return WayBack(f"{green} has no traffic", weights, roles)
    failed = {Role.DRAINING, Role.QUARANTINED}
    homes = [blue, *sorted(active - {blue})]
    proven = next((name for name in homes if serves.get(name) and roles.get(name) not in failed), None)
    if proven is None:
        said = f"{' and '.join(homes)} {'is' if len(homes) == 1 else 'are'}"
        return WayBack(f"{green} has traffic, and {said} not proven to serve: the weights stay as they are")
    if not active:
        roles = {**roles, proven: Role.ACTIVE}
    return WayBack(f"{proven} serves, so all traffic goes there", all_to(proven, weights), roles)


@dataclass(frozen=True, slots=True)
class Settle:
    """What the reconciler does about a deployment that nobody is at work on. `name`: the execution to be started."""

    reason: str
    name: str = ""


def decide_settle(deployment: Deployment, token: int, why_not: str) -> Settle:
    """Finish or undo what was left half-way, in a new execution under a new token.

    `why_not`: what the switch says against it, empty where it says nothing.
    """
    how = "finished" if deployment.phase is Phase.RETIRING else "undone"
    found = f"the deployment of {deployment.green} beside {deployment.blue} was left half-way, {deployment.phase}"
    if why_not:
        return Settle(f"{found}; {why_not}")
    if deployment.attempts >= MOST_ATTEMPTS:
        return Settle(f"{found}; {deployment.attempts} executions came to no end with it: a person has to look")
    return Settle(f"{found}; it is {how}", f"{deployment.green[:40]}-settle-t{token}")


def undone(deployment: Deployment, why: str) -> Deployment:
    """Given up. What is undone already, or past the flip of the pointer, stays as it is."""
    if deployment.phase in (Phase.UNDOING, Phase.RETIRING):
        return deployment
    return replace(deployment, phase=Phase.UNDOING, undoing=deployment.undoing or why)
