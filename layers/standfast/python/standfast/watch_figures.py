"""What alarms look at and the ledger counts: the watch's own figures for CloudWatch.

| dimensions | metrics |
|---|---|
| Fleet, Region | WatchPasses, ActiveDown, and the canaries through the entry (observation.COUNTED) |
| Fleet, Region, Cluster | ReplicasPassing, ReplicasExpected |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.emf import HIGH_RESOLUTION
from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.health import Assessment
    from standfast.ports import Metrics


def publish(
    metrics: Metrics,
    assessments: Mapping[str, Assessment],
    active: str,
    passes: int,
    canaries: Mapping[str, int],
    now: float,
) -> None:
    """That the watch watches, whether the active cluster is down, how many replicas pass, what canaries met."""
    found = assessments.get(active)
    down = found is not None and found.verdict is Verdict.UNHEALTHY
    metrics.put({"WatchPasses": passes, "ActiveDown": int(down), **canaries}, now, resolution=HIGH_RESOLUTION)
    for cluster_id, assessment in assessments.items():
        figures = {"ReplicasPassing": assessment.passing, "ReplicasExpected": assessment.expected}
        metrics.put(figures, now, cluster_id=cluster_id, resolution=HIGH_RESOLUTION)
