"""What a deployment needs of the world: a group of nodes like blue's, made and removed again, and executions.

Errors: see ports. Whatever is made carries the tag `standfast:made-for` with the fleet's name: nothing else is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.rollout_plan import Group


@dataclass(frozen=True, slots=True)
class Provisioned:
    """How far green is. `instance_ids` are in service; `wanted` is how many there should be.

    `said`: why one could not be launched, in AWS's own words; empty where nothing was refused.
    """

    target_group_arn: str
    instance_ids: tuple[str, ...]
    wanted: int
    said: str = ""


class GreenGroups(Protocol):
    """Auto Scaling groups, target groups and probe rules of clusters that are made and removed."""

    def group(self, cluster_id: str, target_group_arn: str) -> Group | None:
        """What there is of a cluster, and whether another one can be made like it. None: it has no group."""
        ...

    def provision(self, blue: str, blue_group_arn: str, rule_arn: str, green: str) -> Provisioned:
        """Make what is missing of green like blue: target group, probe rule before `rule_arn`, Auto Scaling group.

        May be repeated; one call more makes nothing twice. Raises StandfastError when blue cannot be copied.
        """
        ...

    def remove(self, cluster_id: str) -> tuple[str, ...]:
        """Remove what was made for a cluster, and answer what is still there, a word each; empty when nothing is.

        Of a group that somebody else made only the nodes go: it is set to none. May be repeated.
        """
        ...


class Deployments(Protocol):
    """Executions of `blue_green_deployment`."""

    def start_deployment(self, name: str, payload: Mapping[str, object]) -> str:
        """Start one and do not wait for it. Its ARN; empty when one of that name exists already, running or ended."""
        ...
