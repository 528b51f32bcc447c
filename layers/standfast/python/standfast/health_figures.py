"""The figures of an assessment for CloudWatch: few dimensions, and nothing of a single replica or node.

| dimensions | metrics |
|---|---|
| Fleet, Region, Cluster | Verdict, ChecksFailed, ChecksUnknown |
| Fleet, Region, Check | ClustersFailing, ClustersUnknown |
| Fleet, Region | ClustersAssessed, ClustersDegraded, ClustersUnhealthy, ClustersUnknown |

Verdict is 0 healthy, 1 degraded, 2 unhealthy; unknown is no figure, and counts among ChecksUnknown and ClustersUnknown.
Three metrics a cluster and fourteen a Region, however many replicas there are: CloudWatch's price is by the metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from standfast.checks import CheckName
from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.checks import Checked
    from standfast.ports import Metrics

_GRADES: Final[Mapping[Verdict, int]] = {Verdict.HEALTHY: 0, Verdict.DEGRADED: 1, Verdict.UNHEALTHY: 2}
_FAILING: Final = frozenset({Verdict.DEGRADED, Verdict.UNHEALTHY})


def publish(found: Sequence[Checked], metrics: Metrics, now: float) -> None:
    """Put the figures of one assessment of a Region."""
    for checked in found:
        unknown = sum(check.verdict is Verdict.UNKNOWN for check in checked.checks)
        grade = {"Verdict": _GRADES[checked.verdict]} if checked.verdict in _GRADES else {}
        metrics.put(
            {**grade, "ChecksFailed": checked.failed, "ChecksUnknown": unknown}, now, cluster_id=checked.cluster_id
        )
    for name in CheckName:
        verdicts = [check.verdict for checked in found for check in checked.checks if check.name is name]
        failing = sum(verdict in _FAILING for verdict in verdicts)
        figures = {"ClustersFailing": failing, "ClustersUnknown": verdicts.count(Verdict.UNKNOWN)}
        metrics.put(figures, now, check=str(name))
    all_verdicts = [checked.verdict for checked in found]
    by_verdict = {
        f"Clusters{verdict.value.capitalize()}": all_verdicts.count(verdict)
        for verdict in (Verdict.DEGRADED, Verdict.UNHEALTHY, Verdict.UNKNOWN)
    }
    metrics.put({"ClustersAssessed": len(found), **by_verdict}, now)
