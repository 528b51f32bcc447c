"""`assess` in the booted sandbox: real nodes report, real replicas answer, and missing evidence moves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.metrics import Metric
from sandbox.plan import FLEET, SandboxError
from sandbox.region import SandboxRegion
from standfast.checks import CheckName, NodeFinding
from standfast.health import Verdict
from standfast.xids import Action


def assess(region: SandboxRegion, **given: object) -> dict[str, Any]:
    """Run one assessment and give what Step Functions says of it."""
    started = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console", **given})
    )
    return region.wait_for_end(started["executionArn"], 60.0)


def verdict(region: SandboxRegion, cluster_id: str, name: CheckName) -> tuple[Verdict, str]:
    (found,) = [check for check in region.view().checks[cluster_id].checks if check.name is name]
    return found.verdict, found.reason


def finding(region: SandboxRegion, instance_id: str) -> NodeFinding:
    (found,) = [node for node in region.view().nodes[region.standby].nodes if node.instance_id == instance_id]
    return found


def test_a_healthy_region_passes_and_every_node_has_reported(region: SandboxRegion) -> None:
    execution = assess(region)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    view = region.view()
    assert {checked.verdict for checked in view.checks.values()} == {Verdict.HEALTHY}
    assert {len(health.nodes) for health in view.nodes.values()} == {4, 2}
    assert verdict(region, region.primary, CheckName.GPU)[0] is Verdict.HEALTHY


def test_a_lost_gpu_is_found_by_the_nodes_own_script_and_told_by_day(region: SandboxRegion) -> None:
    node = region.nodes.nodes(region.standby)[0]
    told = len(region.messages())
    assert node.shell is not None
    node.shell.lose_gpu(0)
    try:
        assert assess(region, cluster_ids=[region.standby])["status"] == "SUCCEEDED"
        found = verdict(region, region.standby, CheckName.GPU)
        action = finding(region, node.instance_id).action
    finally:
        node.shell.clear()
    assert found[0] is Verdict.DEGRADED  # one of two: it serves, and somebody should look
    assert node.instance_id in found[1]
    assert action is Action.REBOOT
    notices = [message for message in region.messages()[told:] if message.topic == "notice"]
    assert any(node.instance_id in message.subject for message in notices)
    assess(region)


def test_a_node_on_which_nothing_new_can_start_is_drained_once_two_reports_say_so(region: SandboxRegion) -> None:
    node = region.nodes.nodes(region.standby)[0]
    assert node.shell is not None
    node.shell.break_cuda()
    try:
        for _ in range(2):
            assert assess(region, cluster_ids=[region.standby])["status"] == "SUCCEEDED"
        found = finding(region, node.instance_id)
    finally:
        node.shell.clear()
    assert (found.verdict, found.action) == (Verdict.DEGRADED, Action.DRAIN)  # it serves, and is not to be restarted
    assert found.reason.startswith("drain: a new process cannot start CUDA (error 999)")
    assess(region)
    assert finding(region, node.instance_id).verdict is Verdict.HEALTHY


def test_an_unknown_cluster_is_refused_by_name(region: SandboxRegion) -> None:
    execution = assess(region, cluster_ids=["use1-z"])
    assert (execution["status"], execution["error"]) == ("FAILED", "AssessmentRefused")
    assert "cluster 'use1-z' is unknown; this Region has use1-a, use1-b" in execution["cause"]


def test_an_unknown_field_is_refused_by_name(region: SandboxRegion) -> None:
    execution = assess(region, clusters=["use1-a"])
    assert execution["error"] == "AssessmentRefused"
    assert "clusters is not a known field" in execution["cause"]


def test_without_metrics_errors_are_unknown_and_nothing_moves(region: SandboxRegion) -> None:
    weights = dict(region.view().scope.desired.weights)
    region.cloud.monitoring.metrics.lose_reads(region.name)
    try:
        assert assess(region)["status"] == "SUCCEEDED"
        found = verdict(region, region.primary, CheckName.ERRORS)
    finally:
        region.cloud.monitoring.metrics.restore()
    assert found[0] is Verdict.UNKNOWN
    assert "GetMetricData" in found[1]
    assert region.view().checks[region.primary].verdict is Verdict.HEALTHY
    assert dict(region.view().scope.desired.weights) == weights


@pytest.mark.long
def test_replicas_that_answer_and_get_no_requests_are_found_by_what_the_load_balancer_thinks_now(
    region: SandboxRegion,
) -> None:
    """A health check that asks for a page that is not there: the targets are well, and the load balancer shuns them."""
    elb, group = region.client("elbv2"), region.groups[region.standby]
    elb.modify_target_group(TargetGroupArn=group, HealthCheckPath="/not-there")
    try:
        region.wait_for("the load balancer to shun the standby", lambda: states_of(region, group) == {"unhealthy"}, 90)
        assert assess(region, cluster_ids=[region.standby])["status"] == "SUCCEEDED"
        found = verdict(region, region.standby, CheckName.ERRORS)
    finally:
        elb.modify_target_group(TargetGroupArn=group, HealthCheckPath="/health")
    assert found[0] is Verdict.DEGRADED
    assert "finds no target healthy and sends to all alike, also to 2 replicas that answer our canary" in found[1]
    region.wait_for("the load balancer to be content", lambda: states_of(region, group) == {"healthy"}, 90)
    assert assess(region, cluster_ids=[region.standby])["status"] == "SUCCEEDED"
    assert verdict(region, region.standby, CheckName.ERRORS)[0] is not Verdict.DEGRADED


def test_a_verdict_is_a_figure_by_cluster_and_by_check(region: SandboxRegion) -> None:
    assert assess(region)["status"] == "SUCCEEDED"
    everywhere = {"Fleet": FLEET, "Region": region.name}
    wanted = [
        Metric.of("Standfast", "Verdict", {**everywhere, "Cluster": region.primary}),
        Metric.of("Standfast", "ClustersFailing", {**everywhere, "Check": "gpu"}),
        Metric.of("Standfast", "ClustersAssessed", everywhere),
    ]
    metrics = region.cloud.monitoring.metrics
    region.wait_for("the figures", lambda: set(wanted) <= set(metrics.metrics(region.name)), 30)


def states_of(region: SandboxRegion, group: str) -> set[str]:
    return {state for (arn, _, _), state in region.door.health().items() if arn == group}


def test_golden_answers_are_recorded_from_a_cluster_that_agrees_and_asked_for_afterwards(region: SandboxRegion) -> None:
    before = verdict_after_assessment(region)
    recorded = region.invoke("record-golden", {"cluster_id": region.primary, "reason": "the game day"})
    assert (recorded["model"], recorded["recorded"]) == (region.model.version, 4)
    after = verdict_after_assessment(region)
    assert before == (Verdict.HEALTHY, "4 of 4 replicas answered the canary; no golden answer is recorded yet")
    assert after == (Verdict.HEALTHY, "4 of 4 replicas answered the canary")


def test_golden_answers_of_an_unknown_cluster_are_refused_by_name(region: SandboxRegion) -> None:
    with pytest.raises(SandboxError, match="cluster 'use1-z' is unknown"):
        region.invoke("record-golden", {"cluster_id": "use1-z", "reason": "a typing error"})


def verdict_after_assessment(region: SandboxRegion) -> tuple[Verdict, str]:
    assert assess(region)["status"] == "SUCCEEDED"
    return verdict(region, region.primary, CheckName.INFERENCE)
