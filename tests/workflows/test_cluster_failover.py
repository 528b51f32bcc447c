"""`cluster_failover` as it deploys: the template's functions and roles, the state machine, real inference servers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from sandbox.control import Message
from sandbox.plan import FLEET, PLANS, SandboxError
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox
from standfast.aws.cluster_table import ClusterTable
from standfast.fleet import SHED, Role
from standfast.health import Verdict
from standfast.shedding import share

REGION = "us-east-1"
PRIMARY, STANDBY, REPLICAS = PLANS[REGION].primary, PLANS[REGION].standby, PLANS[REGION].replicas
BY_HAND = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": PRIMARY, "reason": "a test moves the traffic"}


def run(region: SandboxRegion, payload: Mapping[str, object]) -> dict[str, Any]:
    return region.wait_for_end(region.start_execution(payload))


def pages(region: SandboxRegion, since: int) -> list[Message]:
    return [message for message in region.messages()[since:] if message.topic == "page"]


def states(region: SandboxRegion, execution: Mapping[str, Any]) -> list[str]:
    history = region.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
    return [
        event["stateEnteredEventDetails"]["name"] for event in history["events"] if "stateEnteredEventDetails" in event
    ]


@contextmanager
def denied(region: SandboxRegion, logical_id: str) -> Iterator[None]:
    """Take a function's access to the state table away, as a broken policy would."""
    iam = region.client("iam")
    role = next(
        role["RoleName"]
        for role in iam.list_roles(MaxItems=500)["Roles"]
        if f"-{logical_id}FunctionRole" in role["RoleName"]
    )
    statement = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="injected-fault", PolicyDocument=document)
    before = len(region.cloud.denials())
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="injected-fault")
        assert any(denial.role == role for denial in region.cloud.denials()[before:]), "the fault was never met"
        region.cloud.forgive(role)


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
    incident = next(each for each in region.invoke("list-incidents", {})["open"] if each["cluster_id"] == PRIMARY)
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
    "CheckDrain": ("SUCCEEDED", None, True),
    "Quarantine": ("FAILED", "FailoverDidNotSucceed", True),
    "StartRecovery": ("SUCCEEDED", None, True),
    "ReleaseLease": ("FAILED", "FailoverDidNotSucceed", True),
    "Announce": ("FAILED", "NobodyWasTold", True),
}


@pytest.mark.parametrize("task", ENDS)
def test_a_task_that_fails_ends_told_and_without_a_lease(region: SandboxRegion, task: str) -> None:
    status, error, moved = ENDS[task]
    told = len(region.messages())
    with denied(region, task):
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


def test_while_the_switch_says_observe_nothing_is_changed_and_somebody_is_told(region: SandboxRegion) -> None:
    region.invoke("set-switch", {"automation": "observe", "reason": "a test looks on", "set_by": "test"})
    told, before = len(region.messages()), region.view().scope
    execution = run(region, BY_HAND)
    assert execution["status"] == "SUCCEEDED"
    assert region.view().scope == before
    (page,) = pages(region, told)
    assert "Nothing was changed: the switch says observe for the fleet (a test looks on; set by test)" in page.text


def test_a_preflight_changes_nothing_and_says_what_would_happen(region: SandboxRegion) -> None:
    before = region.view().scope
    execution = run(region, {"mode": "preflight", "scope_id": REGION})
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    outcome = json.loads(execution["output"])["told"]["outcome"]
    assert outcome.startswith(f"would work: {STANDBY}")  # a test before it may have left a hold-down to mind
    assert region.view().scope == before


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (
            {**BY_HAND, "failed_cluster_id": "use1-z"},
            f"cluster 'use1-z' is unknown; this Region has {PRIMARY}, {STANDBY}",
        ),
        ({**BY_HAND, "failed_cluster_id": STANDBY}, f"the active cluster is {PRIMARY}; nothing to move"),
        ({"mode": "failover", "scope_id": REGION, "reason": "who?"}, "failed_cluster_id is missing"),
        ({key: value for key, value in BY_HAND.items() if key != "scope_id"}, "scope_id is missing; add it"),
        ({**BY_HAND, "failed_cluster": PRIMARY}, "failed_cluster is not a known field"),
        ({**BY_HAND, "scope_id": "eu-west-1"}, f"this stack serves {REGION}, not eu-west-1"),
    ],
)
def test_a_wrong_input_is_refused_in_words_and_changes_nothing(
    region: SandboxRegion, payload: Mapping[str, object], words: str
) -> None:
    before = region.view().scope
    execution = run(region, payload)
    assert execution["status"] == "FAILED"
    assert execution["error"] == "FailoverRefused"
    assert words in execution["cause"]
    assert region.view().scope == before


def test_the_switch_off_refuses_to_start(region: SandboxRegion) -> None:
    region.invoke("set-switch", {"automation": "off", "reason": "a test", "set_by": "test"})
    before = region.view().scope
    execution = run(region, BY_HAND)
    assert execution["error"] == "FailoverRefused"
    assert "the switch is off" in execution["cause"]
    assert region.view().scope == before


def test_a_switch_of_its_own_keeps_a_cluster_where_it_is_unless_somebody_breaks_the_glass(
    region: SandboxRegion,
) -> None:
    held = {"cluster_id": PRIMARY, "reason": "a migration", "set_by": "ana"}
    region.invoke("set-switch", {**held, "automation": "off"})
    try:
        execution = run(region, BY_HAND)
        assert execution["error"] == "FailoverRefused"
        assert f"the switch is off for cluster {PRIMARY} (a migration; set by ana)" in execution["cause"]
        told = len(region.messages())
        glass = {"by": "bo", "reason": "users wait"}
        execution = run(region, {**BY_HAND, "break_glass": glass})
    finally:
        region.invoke("set-switch", {**held, "automation": "run"})
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert region.view().scope.desired.cluster_with(Role.ACTIVE) == STANDBY
    (page,) = pages(region, told)
    assert "Break-glass: bo broke the glass: users wait. The switches were not asked." in page.text
    assert f"The switch: off for cluster {PRIMARY} (a migration; set by ana)." in page.text


def test_an_incident_that_nobody_was_told_of_cannot_be_acknowledged(region: SandboxRegion) -> None:
    with pytest.raises(SandboxError, match="nobody was told of 'no-such-incident'; open are: "):
        region.invoke("acknowledge-incident", {"incident_id": "no-such-incident", "by": "ana"})


def test_a_switch_for_what_is_not_there_is_refused(region: SandboxRegion) -> None:
    with pytest.raises(SandboxError, match=f"cluster 'use1-z' is unknown; the fleet has {PRIMARY}, {STANDBY}"):
        region.invoke("set-switch", {"automation": "off", "cluster_id": "use1-z", "reason": "a test", "set_by": "test"})


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
    told = len(region.messages())
    assert "by hand; left as they are" in region.invoke("reconcile", {})["found"][0]
    assert "by hand; left as they are" in region.invoke("reconcile", {})["found"][0]
    assert len(region.messages()[told:]) <= 1
    write(0, 100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"name": "x", "engine": "mlc"}}, "model.engine"),
        ({"regions": {}}, "regions"),
        ({"clusters": "nonsense"}, "clusters is not a known field"),
    ],
)
def test_a_malformed_configuration_is_refused_and_the_old_one_stays(
    sandbox: Sandbox, region: SandboxRegion, change: Mapping[str, object], words: str
) -> None:
    before = region.view().applied
    with pytest.raises(SandboxError, match="InvalidInputError") as refused:
        region.invoke("apply-config", {"config": {**sandbox.fleet_config(), **change}})
    assert words in str(refused.value)
    assert region.view().applied == before


def test_a_region_without_a_standby_is_refused(sandbox: Sandbox, region: SandboxRegion) -> None:
    config = sandbox.fleet_config()
    del config["regions"][REGION]["clusters"][STANDBY]
    with pytest.raises(SandboxError, match="add a cluster with `role: standby`"):
        region.invoke("apply-config", {"config": config})


def test_the_same_configuration_again_changes_nothing(sandbox: Sandbox, region: SandboxRegion) -> None:
    before = region.view()
    answer = region.invoke("apply-config", {"config": sandbox.fleet_config()})
    assert answer["version"] == before.applied.version
    assert answer["scope_created"] is False
    assert region.view().scope == before.scope


def test_only_a_quarantined_cluster_can_be_readmitted(region: SandboxRegion) -> None:
    with pytest.raises(SandboxError, match="not quarantined; there is nothing to readmit"):
        region.invoke("readmit-cluster", {"cluster_id": STANDBY, "reason": "none", "set_by": "test"})


def test_every_replica_that_auto_scaling_made_is_discovered(region: SandboxRegion) -> None:
    assert region.invoke("discover-replicas", {}) == REPLICAS
    assert all(address.url.startswith("http://127.") for found in region.view().replicas.values() for address in found)


def test_the_functions_are_those_of_the_template(region: SandboxRegion) -> None:
    functions = region.client("lambda").list_functions(MaxItems=50)["Functions"]
    assert {function["FunctionName"] for function in functions} >= {f"{FLEET}-watch-endpoints", f"{FLEET}-take-lease"}


def test_overload_is_shed_by_the_rule_with_retry_after_and_ends(sandbox: Sandbox, region: SandboxRegion) -> None:
    sandbox.apply_config(shedding={"raise_seconds": 5, "calm_seconds": 5})
    table = ClusterTable(region.outputs["ClusterTableName"], REGION, region.client("dynamodb"))

    def saturated() -> bool:
        """As the watch would write it; its own findings count again 3 s later."""
        found = replace(region.view().assessments[PRIMARY], verdict=Verdict.DEGRADED, saturated=4)
        table.write_assessments([replace(found, assessed_at=time.time() + 3)])
        region.invoke("reconcile", {})
        return share(region.view().scope.desired.weights) == 20

    def answered() -> httpx.Response | None:
        found = httpx.post(
            f"{region.door.url}/v1/completions", json={"prompt": "why", "max_tokens": 1}, trust_env=False
        )
        return found if found.status_code == 503 else None

    def calm() -> bool:
        region.invoke("reconcile", {})
        return not share(region.view().scope.desired.weights)

    region.wait_for("the reconciler to shed", saturated, 20.0)
    shed = region.wait_for("an answer of the entry's own function", answered, 20.0)
    assert int(shed.headers["retry-after"]) >= 5
    assert shed.json()["error"]["code"] == "overloaded"
    assert region.view().scope.lease.holder is None
    region.wait_for("the end of it", calm, 30.0)
    region.wait_for("the entry to follow", lambda: not share(region.rule_changes[-1].weights), 10.0)
    sandbox.apply_config()
