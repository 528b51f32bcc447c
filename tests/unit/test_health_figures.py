"""The figures of an assessment: by cluster and by check, and no more of them with more replicas."""

from __future__ import annotations

from standfast import health_figures
from standfast.checks import Check, Checked, CheckName
from standfast.health import Verdict
from tests.builders import ACTIVE, NOW, STANDBY
from tests.fakes import FakeMetrics


def checked(cluster_id: str, verdict: Verdict, **checks: Verdict) -> Checked:
    found = tuple(Check(name, checks.get(str(name), Verdict.HEALTHY), "") for name in CheckName)
    return Checked(cluster_id, verdict, "as it was found", found, NOW)


def published(*found: Checked) -> FakeMetrics:
    metrics = FakeMetrics()
    health_figures.publish(found, metrics, NOW)
    return metrics


def test_each_cluster_has_its_verdict_and_unknown_is_no_figure() -> None:
    metrics = published(
        checked(ACTIVE, Verdict.UNHEALTHY, inference=Verdict.UNHEALTHY, errors=Verdict.DEGRADED),
        checked(STANDBY, Verdict.UNKNOWN, inference=Verdict.UNKNOWN),
    )
    assert metrics.values("Verdict", ACTIVE) == [2]
    assert metrics.values("Verdict", STANDBY) == []
    assert metrics.values("ChecksFailed", ACTIVE) == [2]
    assert metrics.values("ChecksUnknown", STANDBY) == [1]


def test_each_check_counts_the_clusters_that_fail_it_and_those_of_which_nobody_knows() -> None:
    metrics = published(
        checked(ACTIVE, Verdict.DEGRADED, gpu=Verdict.DEGRADED, errors=Verdict.UNKNOWN),
        checked(STANDBY, Verdict.DEGRADED, gpu=Verdict.UNHEALTHY),
    )
    assert metrics.values("ClustersFailing", "gpu") == [2]
    assert metrics.values("ClustersUnknown", "errors") == [1]
    assert metrics.values("ClustersFailing", "latency") == [0]


def test_the_region_counts_its_clusters_by_verdict() -> None:
    metrics = published(checked(ACTIVE, Verdict.DEGRADED), checked(STANDBY, Verdict.HEALTHY))
    region = {name: metrics.values(f"Clusters{name}") for name in ("Assessed", "Degraded", "Unhealthy", "Unknown")}
    assert region == {"Assessed": [2], "Degraded": [1], "Unhealthy": [0], "Unknown": [0]}


def test_a_hundred_clusters_are_three_metrics_each_and_fourteen_more() -> None:
    clusters = [checked(f"cluster-{number}", Verdict.HEALTHY) for number in range(100)]
    names = {(of, name) for _, of, figures, _ in published(*clusters).put_at for name in figures}
    assert len(names) == 3 * 100 + 14
