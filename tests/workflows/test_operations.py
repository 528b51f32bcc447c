"""A Region's daily work: switches, preflights, configuration, overload; and inputs that are refused in words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sandbox.aws.service_quotas import GRANTED
from sandbox.plan import FLEET, SandboxError
from sandbox.region import SandboxRegion
from sandbox.world import Sandbox
from standfast.aws.cluster_table import ClusterTable
from standfast.fleet import Role
from standfast.health import Verdict
from standfast.ledger import WINDOWS
from standfast.ledger_report import read_region_report
from standfast.rule_weights import share
from tests.stories import BY_HAND, PRIMARY, REGION, REPLICAS, STANDBY, denied, pages, run

pytestmark = pytest.mark.long  # a Region of its own, for what the handlers' tests and observe-mode show too

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/keep_ledger.json"


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


def test_a_preflight_that_may_not_write_the_rule_names_the_permission(region: SandboxRegion) -> None:
    told, changes = len(region.messages()), len(region.rule_changes)
    with denied(region, "ShiftTraffic", "elasticloadbalancing:ModifyRule"):
        execution = run(region, {"mode": "preflight", "scope_id": REGION})
    assert execution["status"] == "FAILED"
    notices = [message.text for message in region.messages()[told:] if message.topic == "notice"]
    why = f"AccessDeniedError: elasticloadbalancing:ModifyRule, tried on {region.rule_arn}: "
    assert any(f"A failover would NOT work now: {why}" in text for text in notices)
    assert len(region.rule_changes) == changes


def test_a_quota_that_is_too_small_for_a_rebuilding_is_told_once_by_preflights_that_pass(
    region: SandboxRegion,
) -> None:
    code, needed = "L-DB2E81BA", 8 * sum(REPLICAS.values())  # of a g6.2xlarge, as in infrastructure/gpu-cluster.yaml
    region.cloud.service_quotas.grant(REGION, code, needed - 1)
    told = len(region.messages())
    try:
        executions = [run(region, {"mode": "preflight", "scope_id": REGION}) for _ in range(2)]
    finally:
        region.cloud.service_quotas.grant(REGION, code, GRANTED)
    assert [execution["status"] for execution in executions] == ["SUCCEEDED", "SUCCEEDED"]
    outcomes = [json.loads(execution["output"])["told"]["outcome"] for execution in executions]
    assert all(outcome.endswith("; mind the quota") for outcome in outcomes)
    notices = [message.text for message in region.messages()[told:] if message.topic == "notice"]
    short = [text for text in notices if f"({code}) of {REGION} is {needed - 1} vCPUs, and {needed} are needed" in text]
    assert len(short) == len(set(outcomes))  # a hold-down that a test before it left may end between the two


def test_a_preflight_that_may_not_read_a_quota_names_the_permission_and_passes(region: SandboxRegion) -> None:
    told = len(region.messages())
    with denied(region, "LookAtQuotas", "servicequotas:GetServiceQuota"):
        execution = run(region, {"mode": "preflight", "scope_id": REGION})
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["told"]["outcome"].endswith("; mind the unread quota")
    notices = [message.text for message in region.messages()[told:] if message.topic == "notice"]
    assert any("is not known: AccessDeniedError: GetServiceQuota of L-DB2E81BA" in text for text in notices)


def test_the_availability_to_expect_is_computed_by_a_role_that_may_do_nothing(region: SandboxRegion) -> None:
    answered = region.invoke("calculate-availability", {"assumptions": {"beta": 0}})
    assert 0.9999 < answered["availability"] < 1
    assert any("What the original design states" in line for line in answered["report"])


def test_the_ledger_counts_canaries_and_makes_the_days_pages_by_its_own_rights(region: SandboxRegion) -> None:
    due = region.invoke("keep-ledger", {"report": "due"})
    (day, *_) = [key for key in due["written"] if re.fullmatch(r"region/\d{4}-\d\d-\d\d\.json", key)]
    now = region.invoke("keep-ledger", json.loads(EXAMPLE.read_text()))
    assert {"region/2026-11.html", "fleet/2026-11.json"} <= {key.split("/", 3)[3] for key in now["written"]}
    assert (now["report"]["region"], now["report"]["budget"]["objective"]) == (REGION, 0.999)
    assert set(due["rates"]) == {*WINDOWS, "BudgetLeftPercent"}
    bucket = region.outputs["LedgerBucketName"]
    text = region.client("s3").get_object(Bucket=bucket, Key=day)["Body"].read().decode()
    assert read_region_report(text, day).fleet == FLEET
    with pytest.raises(SandboxError, match="write it as 2026-11-25 or 2026-11"):
        region.invoke("keep-ledger", {"report": "last month"})


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
    pages = region.client("lambda").get_paginator("list_functions").paginate()
    functions = {function["FunctionName"] for page in pages for function in page["Functions"]}
    assert functions >= {f"{FLEET}-watch-endpoints", f"{FLEET}-take-lease"}


@pytest.mark.long
def test_overload_is_shed_by_the_rule_with_retry_after_and_ends(sandbox: Sandbox, region: SandboxRegion) -> None:
    sandbox.apply_config(shedding={"raise_seconds": 5, "calm_seconds": 5})
    table = ClusterTable(region.outputs["ClusterTableName"], REGION, region.client("dynamodb"))

    def saturated() -> bool:
        """As the watch would write it; its own findings count again 3 s later."""
        found = replace(region.view().assessments[PRIMARY], verdict=Verdict.DEGRADED, saturated=4)
        table.write_assessments([replace(found, assessed_at=time.time() + 3)])
        region.invoke("reconcile", {})
        return share(region.view().scope.desired.weights) == 40  # every replica is late: two steps at once

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
