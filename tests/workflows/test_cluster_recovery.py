"""`cluster_recovery` as it deploys: our documents run on nodes, Auto Scaling replaces them, and the role comes last.

Which way it goes is in tests/unit/test_recovery_machine.py. Here it is what AWS, the nodes and the roles make of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox.control import Message
from sandbox.fleet import shell as shells
from sandbox.fleet.nodes import Node
from sandbox.plan import PLANS
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox
from standfast.fleet import Role
from standfast.xids import Action

pytestmark = pytest.mark.long

REGION = "us-east-1"
PRIMARY, STANDBY = PLANS[REGION].primary, PLANS[REGION].standby
PATIENCE = 180.0


@pytest.fixture(autouse=True)
def quick(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Boots take no time, and an engine that does not answer soon will not answer at all."""
    monkeypatch.setattr(shells, "BOOT_SECONDS", 0.1)
    sandbox.apply_config(recovery={"automatic": False, "start_seconds": 12}, failover={"drain_seconds": 2})
    yield
    sandbox.apply_config()


def recover(region: SandboxRegion, cluster_id: str = PRIMARY, **more: object) -> dict[str, Any]:
    """Start it as from the console, and wait for its end."""
    payload = {"scope_id": REGION, "cluster_id": cluster_id, "reason": "a test has it mended", **more}
    return region.wait_for_end(begin(region, payload), PATIENCE)


def begin(region: SandboxRegion, payload: Mapping[str, object]) -> str:
    answer = region.client("stepfunctions").start_execution(
        stateMachineArn=region.outputs["ClusterRecoveryArn"], input=json.dumps(payload)
    )
    return str(answer["executionArn"])


def visited(region: SandboxRegion, execution: Mapping[str, Any]) -> list[str]:
    history = region.client("stepfunctions").get_execution_history(
        executionArn=execution["executionArn"], maxResults=1000
    )
    return [
        event["stateEnteredEventDetails"]["name"] for event in history["events"] if "stateEnteredEventDetails" in event
    ]


def record(region: SandboxRegion, cluster_id: str = PRIMARY) -> Any:
    from standfast.aws.recovery_table import RecoveryTable

    return RecoveryTable(region.outputs["ClusterTableName"], REGION, region.client("dynamodb")).read_recovery(
        cluster_id
    )


def rungs(region: SandboxRegion, since: float) -> list[tuple[str, Action]]:
    return [(each.instance_id, each.rung) for each in record(region).remedies if each.at >= since]


def targets(region: SandboxRegion, cluster_id: str = PRIMARY) -> set[str]:
    found = region.client("elbv2").describe_target_health(TargetGroupArn=region.groups[cluster_id])
    return {each["Target"]["Id"] for each in found["TargetHealthDescriptions"]}


def told(region: SandboxRegion, since: int) -> list[Message]:
    return [message for message in region.messages()[since:] if "mended" in message.subject]


def node_of(region: SandboxRegion, number: int = 0) -> Node:
    return region.nodes.nodes(PRIMARY)[number]


def test_one_dead_replica_is_restarted_out_of_traffic_and_brought_back(region: SandboxRegion) -> None:
    since, before, heard = time.time(), region.view().scope, len(region.messages())
    sick = node_of(region)
    sick.replica.kill()
    execution = recover(region)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    order = visited(region, execution)
    assert order.index("TakeOut") < order.index("ApplyRemedy") < order.index("BringBack") < order.index("Readmit")
    assert rungs(region, since) == [(sick.instance_id, Action.RESTART_ENGINE)]
    assert sick.replica.alive
    assert targets(region) == {node.instance_id for node in region.nodes.nodes(PRIMARY)}
    assert region.view().scope == before  # neither weights nor roles, and nobody took the lease
    assert record(region).lease.holder is None
    (notice,) = told(region, heard)
    assert (notice.topic, notice.subject) == ("notice", f"{REGION}: {PRIMARY} is mended")
    assert f"restart engine on {sick.instance_id}: no answer" in notice.text


def test_a_fault_that_only_a_replacement_mends_gets_one_and_the_new_node_serves(region: SandboxRegion) -> None:
    since, sick = time.time(), node_of(region)
    sick.shell.fail_remapping(0)
    execution = recover(region)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert rungs(region, since) == [(sick.instance_id, Action.REPLACE)]
    ids = {node.instance_id for node in region.nodes.nodes(PRIMARY)}
    assert len(ids) == 4
    assert sick.instance_id not in ids
    assert targets(region) == ids
    region.invoke("discover-replicas", {})


def test_a_quarantined_cluster_is_mended_climbing_the_ladder_and_becomes_standby(region: SandboxRegion) -> None:
    since, (first, second, *_) = time.time(), region.nodes.nodes(PRIMARY)
    payload = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": PRIMARY, "reason": "a test breaks it"}
    region.wait_for_end(region.start_execution(payload))
    with first.shell.ills.stubborn(Action.REBOOT):
        first.shell.add_xid(95, "Uncontained ECC error")
    second.replica.kill()
    execution = recover(region)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert sorted(rungs(region, since)) == sorted(
        [
            (first.instance_id, Action.RESET_GPU),
            (second.instance_id, Action.RESTART_ENGINE),
            (first.instance_id, Action.REBOOT),
        ]
    )
    scope = region.view().scope
    assert scope.desired.roles == {PRIMARY: Role.STANDBY, STANDBY: Role.ACTIVE}
    assert scope.desired.weights == {PRIMARY: 0, STANDBY: 100}
    assert scope.lease.holder is None
    kept = region.invoke("list-incidents", {})
    incident = next(
        each
        for each in (*kept["open"], *kept["closed"])
        if (each["kind"], each["cluster_id"]) == ("failure", PRIMARY) and each["opened_at"] >= since
    )
    outcomes = {act["what"].partition(":")[0]: act["outcome"] for act in incident["actions"]}
    assert outcomes[f"{Action.RESET_GPU} on {first.instance_id}"] == "it did not help"
    assert outcomes[f"{Action.REBOOT} on {first.instance_id}"] == "it helped"
    assert outcomes[f"{Action.RESTART_ENGINE} on {second.instance_id}"] == "it helped"
    assert incident["seconds"]["mend"] > 0


def test_a_standby_that_cannot_be_rebuilt_for_want_of_instances_is_told_for_it_and_comes_back_with_them(
    sandbox: Sandbox, region: SandboxRegion
) -> None:
    rules = {"automatic": False, "start_seconds": 12, "redundancy_grace_seconds": 0}
    sandbox.apply_config(recovery=rules, failover={"drain_seconds": 2})
    heard, scaling = len(region.messages()), sandbox.cloud.auto_scaling
    payload = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": PRIMARY, "reason": "a test breaks it"}
    region.wait_for_end(region.start_execution(payload))
    scaling.run_out(REGION)
    node_of(region).shell.fail_remapping(0)
    assert recover(region)["error"] == "RecoveryDidNotSucceed"
    (page,) = told(region, heard)
    assert (page.topic, "Why no instance came: AWS has no such instance left" in page.text) == ("page", True)
    for _ in range(2):  # by the scheduled look, however often: one loss is one incident and one page
        found = region.invoke("begin-recoveries", {})["redundancy"]
    assert found.startswith(f"{REGION} has no standby: {PRIMARY} is quarantined, and AWS has no such instance left")
    (lost,) = [message for message in region.messages()[heard:] if "no standby" in message.subject]
    assert "InsufficientInstanceCapacity" in lost.text
    kinds = [(each["kind"], each["cluster_id"]) for each in region.invoke("list-incidents", {})["open"]]
    assert kinds.count(("redundancy", PRIMARY)) == 1
    scaling.restock(REGION)
    region.wait_for("the instance", lambda: len(region.nodes.nodes(PRIMARY)) == 4, 60.0)


def test_sick_nodes_and_failed_clusters_are_found_and_a_recovery_begins_once(
    sandbox: Sandbox, region: SandboxRegion
) -> None:
    sandbox.apply_config(recovery={"start_seconds": 12}, failover={"drain_seconds": 2})
    machine = region.outputs["ClusterRecoveryArn"]
    known = len(region.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"])
    payload = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": PRIMARY, "reason": "a test breaks it"}
    failover = region.wait_for_end(region.start_execution(payload))
    started = json.loads(failover["output"])["recovery"]["execution_arn"]
    assert ":standfast-cluster-recovery:" in started
    region.invoke("begin-recoveries", {})
    assert region.wait_for_end(started, PATIENCE)["status"] == "SUCCEEDED"
    executions = region.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert len(executions) == known + 1
    assert region.view().scope.desired.roles == {PRIMARY: Role.STANDBY, STANDBY: Role.ACTIVE}
