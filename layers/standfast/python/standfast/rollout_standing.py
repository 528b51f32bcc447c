"""A cluster as a rolling update sees it: what is registered, what is healthy, and whether one fewer is enough. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import capacity
from standfast.rollout import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.stores import View

GONE = frozenset({"draining", "unused"})
"""A target on its way out, or one that the load balancer does not use."""


def standing_of(view: View, cluster_id: str, states: Mapping[str, str], now: float) -> Standing:
    """`states`: replica id -> state, as the load balancer says. What the watch does not know is not counted."""
    cluster = view.applied.config.region(view.scope.scope_id).cluster(cluster_id)
    urls = {each.replica_id: each.url for each in view.replicas.get(cluster_id, ())}
    healthy = frozenset(replica for replica, state in states.items() if state == "healthy")
    has_traffic = view.scope.desired.weights.get(cluster_id, 0) > 0
    return Standing(
        cluster=cluster,
        registered={
            replica: urls[replica] for replica, state in states.items() if state not in GONE and replica in urls
        },
        healthy=healthy,
        assessment=view.assessments.get(cluster_id),
        fit=capacity.of_rest(cluster_id, cluster, len(healthy) - 1, view.loads, now) if has_traffic else None,
    )
