"""One node more for the time of a rolling update, so that the cluster never has fewer than it is used to. Pure.

The node begins with the version of before and is updated as the others are. At the end the cluster has its size again:
one of its nodes goes, the worst of them, drained like a replica that is updated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.model_versions import ReplicaPhase
from standfast.rollout import TAKEN_UP_SECONDS, Next, NextAction
from standfast.rollout_plan import LAUNCH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from standfast.model_versions import ModelUpdate
    from standfast.rollout import Standing
    from standfast.rollout_ports import GroupSize

PATIENCE_SECONDS = LAUNCH_SECONDS + TAKEN_UP_SECONDS
"""A node that does not serve by then is not waited for."""


def why_not(cluster_id: str, size: GroupSize | None, replicas: Collection[str]) -> str:
    """Why no node can be added; empty where one can. `replicas` are the ids of all that are known."""
    if size is None:
        return f"{cluster_id} has no Auto Scaling group with its tag"
    if size.nodes + 1 > size.most:
        return f"the group of {cluster_id} may have {size.most} nodes and has {size.nodes}; raise MaxSize"
    nodes = {instance_of(replica) for replica in replicas}
    if len(nodes) != len(replicas):
        return f"{cluster_id} has {len(replicas)} replicas on {len(nodes)} nodes; a node that goes takes all of its own"
    return ""


def instance_of(replica_id: str) -> str:
    """The node of a replica: its id is `<instance>:<port>`."""
    return replica_id.rpartition(":")[0]


def arrived(states: Mapping[str, str], urls: Collection[str], known: Collection[str]) -> str:
    """The replica of a node that was not known before and has traffic; empty while there is none.

    `states` are the load balancer's by replica id, `urls` the ids of those that the watch knows.
    """
    new = (name for name, state in states.items() if state == "healthy" and instance_of(name) not in known)
    return next((name for name in sorted(new) if name in urls), "")


def surplus(update: ModelUpdate, standing: Standing, nodes: int) -> Next:
    """Once nothing is left to update: which replica's node goes, or that none has come. `nodes`: how many are wanted.

    What could not be put back goes first, then who is not healthy.
    """
    left = {name: update.replicas[name].url for name in update.in_phase(ReplicaPhase.LEFT)}
    there = {**standing.registered, **left}
    if len(there) <= nodes:
        return Next(NextAction.SHRINK, f"{len(there)} of {nodes} nodes are there; no more are wanted")
    chosen = min(there, key=lambda name: (name not in left, name in standing.healthy, name))
    return Next(NextAction.SURPLUS, f"{chosen} goes: {nodes} nodes are enough again", chosen, there[chosen])
