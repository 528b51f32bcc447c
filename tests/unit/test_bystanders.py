"""False verdicts: what is said of those that have no fault, and nothing of the one that has."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from sandbox.bystanders import false_verdicts
from standfast.checks import Check, Checked, CheckName, NodeFinding, NodeHealth
from standfast.health import Verdict
from standfast.stores import View
from tests.builders import ACTIVE, NOW, STANDBY, assessment, view

FAULTY: Any = SimpleNamespace(instance_id="i-1", cluster_id=STANDBY)


def checked(cluster_id: str = STANDBY, verdict: Verdict = Verdict.HEALTHY, **checks: Verdict) -> Checked:
    known = {name: checks.get(str(name), Verdict.HEALTHY) for name in CheckName}
    found = tuple(Check(name, each, f"why {name}") for name, each in known.items())
    return Checked(cluster_id, verdict, "why", found, NOW)


def found(*checks: Checked, nodes: tuple[NodeFinding, ...] = (), watch: Verdict = Verdict.HEALTHY) -> View:
    return replace(
        view(assessments={ACTIVE: assessment(ACTIVE, watch)}),
        checks={each.cluster_id: each for each in checks},
        nodes={STANDBY: NodeHealth(STANDBY, NOW, nodes)},
    )


def said(seen: View, faulty: Any = None) -> list[str]:
    return [what for what, _ in false_verdicts(seen, faulty)]


def test_where_all_are_well_or_lack_traffic_there_is_none() -> None:
    well = NodeFinding("i-1", Verdict.HEALTHY, "1 GPU answers")
    assert said(found(checked(errors=Verdict.UNKNOWN), checked(ACTIVE), nodes=(well,))) == []


def test_the_node_with_the_fault_and_its_clusters_gpu_check_may_be_unwell_and_no_other() -> None:
    bad = NodeFinding("i-1", Verdict.UNHEALTHY, "reboot: Xid 79")
    seen = found(checked(verdict=Verdict.DEGRADED, gpu=Verdict.DEGRADED), nodes=(bad,))
    assert said(seen, FAULTY) == []
    assert said(seen) == [f"i-1 of {STANDBY} is unhealthy", f"{STANDBY} is degraded"]


def test_another_node_another_check_and_another_cluster_are_said_all_the_same() -> None:
    other = NodeFinding("i-2", Verdict.UNKNOWN, "no answer yet")
    seen = found(
        checked(verdict=Verdict.DEGRADED, gpu=Verdict.DEGRADED, latency=Verdict.DEGRADED),
        checked(ACTIVE, Verdict.UNKNOWN),
        nodes=(other,),
        watch=Verdict.DEGRADED,
    )
    assert said(seen, FAULTY) == [
        f"i-2 of {STANDBY} is unknown",
        f"the watch finds {ACTIVE} degraded",
        f"latency of {STANDBY} is degraded",
        f"{ACTIVE} is unknown",
    ]


def test_a_cluster_with_one_bad_node_is_not_unhealthy() -> None:
    assert said(found(checked(verdict=Verdict.UNHEALTHY, gpu=Verdict.UNHEALTHY)), FAULTY) == [f"{STANDBY} is unhealthy"]
