"""What a rollout needs of the world: a cluster's targets one by one, nodes that load a model version, and executions.

Errors: see ports. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.recovery_ports import Progress


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """A node is to load a model version. `name`: of this load; sent twice under one name, it is done once.

    `bucket`, `prefix` and `manifest_key` say where the version lies; `manifest_sha256` is what its manifest must be.
    """

    name: str
    instance_id: str
    bucket: str
    prefix: str
    manifest_key: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Of a cluster's Auto Scaling group: how many nodes it wants, and how many it may have.

    `said`: why one could not be launched since the moment that was asked about, in AWS's own words; else empty.
    """

    nodes: int
    most: int
    said: str = ""


class GroupSizes(Protocol):
    """How many nodes a cluster's Auto Scaling group wants."""

    def size(self, cluster_id: str, since: float) -> GroupSize | None:
        """What it wants now; None where the cluster has no group with its tag."""
        ...

    def grow(self, cluster_id: str, nodes: int) -> None:
        """Have it want so many, if it wants fewer. May be repeated."""
        ...

    def shrink(self, cluster_id: str, nodes: int, instance_id: str) -> None:
        """Have it want so many, if it wants more: this instance ends, or with none named one that AWS picks.

        May be repeated: with the size that is asked for nothing ends.
        """
        ...


class ReplicaTargets(Protocol):
    """The targets of one cluster's target group, by replica id."""

    def states(self, target_group_arn: str) -> Mapping[str, str]:
        """Replica id -> state, as Elastic Load Balancing calls it, of all targets that are registered or draining."""
        ...

    def take_out(self, target_group_arn: str, replica_id: str) -> None:
        """No new request reaches it soon; those under way end. May be repeated."""
        ...

    def bring_back(self, target_group_arn: str, replica_id: str) -> None:
        """Requests reach it again, once the load balancer finds it healthy. May be repeated."""
        ...


class ModelLoads(Protocol):
    """Nodes that load a model version, by our own document."""

    def send(self, load: ModelLoad) -> str:
        """Begin it, and answer the command's id; empty where the node is not reached. Repeating it does it once."""
        ...

    def progress(self, command_id: str) -> Progress:
        """How far it is, and at its end what it said last, behind the status where that is bad. May be repeated."""
        ...


class RollingUpdates(Protocol):
    """Executions of `rolling_update`."""

    def start_rolling_update(self, name: str, payload: Mapping[str, object]) -> str:
        """Start one and do not wait for it. Its ARN; empty when one of that name exists already, running or ended."""
        ...
