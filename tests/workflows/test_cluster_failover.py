"""`cluster_failover` as it deploys: the template's functions and roles, the state machine, real inference servers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.region import SandboxRegion
from standfast.fleet import SHED, Role
from tests.stories import BY_HAND, PRIMARY, STANDBY, denied, pages, run


def states(region: SandboxRegion, execution: Mapping[str, Any]) -> list[str]:
    history = region.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    return [
        event["stateEnteredEventDetails"]["name"] for event in history["events"] if "stateEnteredEventDetails" in event
    ]


def test_a_failover_by_hand_moves_records_and_tells(region: SandboxRegion) -> None:
    told = len(region.messages())
    execution = run(region, BY_HAND)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    scope = region.view().scope
    assert scope.desired.weights == {PRIMARY: 0, STANDBY: 100}
    assert scope.desired.roles == {PRIMARY: Role.QUARANTINED, STANDBY: Role.ACTIVE}
    assert scope.lease.holder is None
    (page,) = pages(region, told)
    assert "a test moves the traffic" in page.text
    assert f"{STANDBY} has 2 replicas for the traffic of 4" in page.text
    assert "readmit-cluster" in page.text
    failures = [each for each in region.invoke("list-incidents", {})["open"] if each["kind"] == "failure"]
    incident = next(each for each in failures if each["cluster_id"] == PRIMARY)
    assert set(incident["seconds"]) >= {"detect", "decide", "move", "drain"}
    assert f"all traffic went to {STANDBY}" in incident["actions"][0]["what"]
    acknowledged = region.invoke("acknowledge-incident", {"incident_id": incident["incident_id"], "by": "ana"})
    assert acknowledged == {"incident_id": incident["incident_id"], "acknowledged_by": "ana", "open": True}
    order = states(region, execution)
    assert order.index("ShiftTraffic") < order.index("VerifyServing") < order.index("RecordRoles")
    assert order.index("ShiftTraffic") < order.index("CheckDrain") < order.index("Quarantine")


def test_killed_replicas_are_noticed_and_the_service_goes_on(region: SandboxRegion) -> None:
    known = {execution["executionArn"] for execution in region.executions()}
    region.nodes.kill(PRIMARY)
    killed_at = time.time()
    arn = region.wait_for(
        "a failover",
        lambda: next(
            (found["executionArn"] for found in region.executions() if found["executionArn"] not in known), None
        ),
        10,
    )
    execution = region.wait_for_end(arn)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    given = json.loads(execution["input"])
    assert given["trigger"] == "watch"
    assert "connection refused" in given["reason"]
    assert "through the entry" in given["reason"]
    assert given["detected_at"] - killed_at < 5
    assert region.view().scope.desired.roles[STANDBY] is Role.ACTIVE


# Which end each Task's own failure must come to, and whether the traffic has moved by then.
ENDS = {
    "TakeLease": ("FAILED", "FailoverNotStarted", False),
    "ProbeStandbys": ("FAILED", "FailoverDidNotSucceed", False),
    "SelectStandby": ("FAILED", "FailoverDidNotSucceed", False),
    "ShiftTraffic": ("FAILED", "FailoverDidNotSucceed", False),
    "VerifyServing": ("FAILED", "FailoverDidNotSucceed", True),
    "RecordRoles": ("FAILED", "FailoverDidNotSucceed", True),
    "ResumeRequests": ("SUCCEEDED", None, True),
    "CheckDrain": ("SUCCEEDED", None, True),
    "Quarantine": ("FAILED", "FailoverDidNotSucceed", True),
    "StartRecovery": ("SUCCEEDED", None, True),
    "ReleaseLease": ("FAILED", "FailoverDidNotSucceed", True),
    "Announce": ("FAILED", "NobodyWasTold", True),
}

NEEDS = {"ResumeRequests": "lambda:InvokeFunction"}
"""What a task cannot do without, where it is not the state table."""


IN_EVERY_RUN = ("TakeLease", "ShiftTraffic", "VerifyServing", "ReleaseLease", "Announce")
"""One of each kind of end, before the traffic has moved and after; the others are for `make proof`."""


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=() if task in IN_EVERY_RUN else pytest.mark.long) for task in ENDS]
)
def test_a_task_that_fails_ends_told_and_without_a_lease(region: SandboxRegion, task: str) -> None:
    status, error, moved = ENDS[task]
    told = len(region.messages())
    with denied(region, task, NEEDS.get(task, "dynamodb:*")):
        execution = run(region, {**BY_HAND, "incident_id": f"{task}-fails"})
        assert (execution["status"], execution.get("error")) == (status, error)
        region.wait_for("a page", lambda: pages(region, told), 10)
    scope = region.wait_for("the lease to be free", lambda: (s := region.view().scope).lease.holder is None and s, 10)
    assert (scope.desired.weights[STANDBY] > 0) is moved
    assert any(scope.desired.weights.values())
    active = STANDBY if moved else PRIMARY  # recorded by the step, by GiveUp or, once proven, by the reconciler
    region.wait_for("the roles to fit", lambda: region.view().scope.desired.cluster_with(Role.ACTIVE) == active, 20)


def test_a_give_up_that_fails_is_taken_over_by_the_reconciler(region: SandboxRegion) -> None:
    told = len(region.messages())
    with denied(region, "ShiftTraffic"), denied(region, "GiveUp"):
        execution = run(region, BY_HAND)
        assert execution["error"] == "NobodyWasTold"
        region.wait_for("a page", lambda: pages(region, told), 10)
    assert region.view().scope.lease.holder is None
    assert region.view().scope.desired.weights == {PRIMARY: 100, STANDBY: 0}


def test_an_execution_that_is_stopped_loses_its_lease_and_a_person_is_told(region: SandboxRegion) -> None:
    told, attempts = len(region.messages()), region.view().scope.attempts
    region.nodes.pause(STANDBY)  # its canaries hang, so that there is time to stop the execution
    arn = region.start_execution(BY_HAND)
    region.wait_for("the lease", lambda: region.view().scope.lease.holder == arn, 10)
    region.client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause="by a test")
    region.nodes.revive(STANDBY)
    region.wait_for("the lease to be free", lambda: region.view().scope.lease.holder is None, 10)
    page = region.wait_for("a page", lambda: pages(region, told), 10)[0]
    assert "half-way" in page.subject
    assert region.view().scope.attempts == attempts + 1


def test_with_no_standby_proven_the_weights_stay_and_one_page_is_sent(region: SandboxRegion) -> None:
    told, version = len(region.messages()), region.view().scope.desired.version
    region.nodes.kill(STANDBY)
    for _ in range(2):
        execution = run(region, {**BY_HAND, "incident_id": "both-clusters-down"})
        assert execution["error"] == "FailoverDidNotSucceed"
    assert region.view().scope.desired.version == version
    (page,) = pages(region, told)
    assert f"{STANDBY}: 0 of 2 replicas answered a canary just now: connection refused" in page.text
    assert "stays where it was" in page.text


def test_the_same_execution_name_twice_starts_one_failover(region: SandboxRegion) -> None:
    name = f"twice-{time.time_ns()}"
    first = region.wait_for_end(region.start_execution(BY_HAND, name=name))
    after = region.view().scope
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        region.start_execution({**BY_HAND, "reason": "a second trigger"}, name=name)
    assert first["status"] == "SUCCEEDED"
    assert region.view().scope == after


def test_a_stale_write_to_the_rule_is_put_back_and_a_hand_edit_is_left_alone(region: SandboxRegion) -> None:
    run(region, BY_HAND)
    elb = region.client("elbv2")

    def write(primary: int, standby: int) -> None:
        groups = [
            {"TargetGroupArn": region.groups[PRIMARY], "Weight": primary},
            {"TargetGroupArn": region.groups[STANDBY], "Weight": standby},
        ]
        elb.modify_rule(
            RuleArn=region.rule_arn, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
        )

    write(100, 0)  # what a stale holder would write: version 1's weights
    region.invoke("reconcile", {})  # the scheduled one may have come first
    assert region.rule_changes[-1].weights == {PRIMARY: 0, STANDBY: 100, SHED: 0}
    write(0, 50)  # the same shares of traffic in other numbers: somebody's own
    # The scheduled one may look at the same moment, and a message is told at least once: twice at worst.
    told = len(region.messages())
    assert "by hand; left as they are" in region.invoke("reconcile", {})["found"][0]
    region.wait_for("the notice", lambda: any("by hand" in each.subject for each in region.messages()[told:]), 30.0)
    time.sleep(3.0)  # the other one, if there is one, has told, or found that it was told
    told = len(region.messages())
    assert "by hand; left as they are" in region.invoke("reconcile", {})["found"][0]
    assert "by hand; left as they are" in region.invoke("reconcile", {})["found"][0]
    assert [message.subject for message in region.messages()[told:]] == []
    write(0, 100)
