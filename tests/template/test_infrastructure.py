"""The templates that a team deploys for a cluster and for a Region's entry: valid, and safe where it matters."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.agent_metrics import agent_config
from standfast.probes.http import SHED_HEADER
from tests.template import documents
from tests.template.documents import target

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "infrastructure"


def resources(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml_parse((INFRASTRUCTURE / name).read_text())
    return {logical_id: resource["Properties"] for logical_id, resource in document["Resources"].items()}


def paths(rule: dict[str, Any]) -> list[str]:
    """What a listener rule is for."""
    (found,) = (each for each in rule["Conditions"] if each["Field"] == "path-pattern")
    return list(found["PathPatternConfig"]["Values"])


@pytest.mark.parametrize("name", ["gpu-cluster.yaml", "regional-entry.yaml", "global-routing.yaml"])
def test_cfn_lint_finds_nothing(name: str) -> None:
    findings = lint_all((INFRASTRUCTURE / name).read_text())
    assert [str(finding) for finding in findings if not finding.rule.id.startswith("I")] == []  # I: informs, judges not


def test_a_wedged_node_is_not_replaced_by_its_auto_scaling_group() -> None:
    assert resources("gpu-cluster.yaml")["Nodes"]["HealthCheckType"] == "EC2"


def test_nodes_want_tokens_for_metadata_and_encrypt_their_volumes() -> None:
    data = resources("gpu-cluster.yaml")["NodeTemplate"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert all(mapping["Ebs"]["Encrypted"] is True for mapping in data["BlockDeviceMappings"])


def test_nodes_admit_security_groups_only() -> None:
    found = resources("gpu-cluster.yaml")
    assert "SecurityGroupIngress" not in found["NodeSecurityGroup"]
    for name in ("IngressFromEntry", "IngressFromProbes"):
        assert "SourceSecurityGroupId" in found[name]
        assert not {"CidrIp", "CidrIpv6"} & set(found[name])


def test_all_traffic_starts_at_the_primary_and_sticks_to_nobody() -> None:
    forward = resources("regional-entry.yaml")["ServiceRule"]["Actions"][0]["ForwardConfig"]
    assert [group["Weight"] for group in forward["TargetGroups"]] == [100, 0]
    assert forward["TargetGroupStickinessConfig"] == {"Enabled": False}


def test_probe_rules_are_asked_before_the_weighted_rule() -> None:
    found = resources("regional-entry.yaml")
    probes = [found[name]["Priority"] for name in ("ProbePrimaryRule", "ProbeStandbyRule")]
    assert len(set(probes)) == 2
    assert max(probes) < found["ServiceRule"]["Priority"]


def test_the_rule_for_low_priority_is_asked_after_the_probe_rules_and_before_the_one_that_serves() -> None:
    found = resources("regional-entry.yaml")
    low, rest = found["LowPriorityRule"], found["ServiceRule"]
    probes = [found[name]["Priority"] for name in ("ProbePrimaryRule", "ProbeStandbyRule")]
    assert max(probes) < low["Priority"] < rest["Priority"]
    assert low["Actions"] == rest["Actions"]  # it begins where the other begins, without the group that sheds
    assert set(paths(low)) < set(paths(rest))
    parameters = yaml_parse((INFRASTRUCTURE / "regional-entry.yaml").read_text())["Parameters"]
    assert parameters["LowPriorityHeader"]["Default"] == ""  # off until somebody wants it


def test_the_entry_answers_what_route_53_asks_by_who_serves() -> None:
    parameters = yaml_parse((INFRASTRUCTURE / "global-routing.yaml").read_text())["Parameters"]
    assert parameters["EntryHealthPath"]["Default"] in paths(resources("regional-entry.yaml")["ServiceRule"])


def test_the_group_that_sheds_is_not_in_the_rule_at_first() -> None:
    """Else adding it to an entry that serves would write the weights of the creation, and send the traffic back."""
    found = resources("regional-entry.yaml")
    groups = found["ServiceRule"]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert {"Ref": "ShedTargetGroup"} not in [group["TargetGroupArn"] for group in groups]


def test_a_flood_that_is_shed_leaves_concurrency_for_the_failover_and_writes_no_logs() -> None:
    function = resources("regional-entry.yaml")["ShedFunction"]
    assert function["ReservedConcurrentExecutions"] <= 20
    assert function["LoggingConfig"]["SystemLogLevel"] == "WARN"
    assert "VpcConfig" not in function


@pytest.mark.parametrize("seconds", [1, 5])
def test_the_shedding_function_answers_503_with_retry_after_and_an_error_as_openai_writes_it(
    seconds: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RETRY_AFTER_SECONDS", str(seconds))
    code = tmp_path / "index.py"
    code.write_text(resources("regional-entry.yaml")["ShedFunction"]["Code"]["ZipFile"])
    module = runpy.run_path(str(code))
    answers = [module["handler"]({}, None) for _ in range(100)]
    assert {answer["statusCode"] for answer in answers} == {503}
    assert {int(answer["headers"]["Retry-After"]) for answer in answers} == set(range(seconds, 2 * seconds + 1))
    assert SHED_HEADER in {name.lower() for name in answers[0]["headers"]}
    assert json.loads(answers[0]["body"])["error"]["code"] == "overloaded"


def alarms(name: str) -> dict[str, Any]:
    """Alarm name -> properties, with the parameters' names in place of their values."""
    return {
        properties["AlarmName"]["Fn::Sub"]: properties
        for properties in resources(name).values()
        if "AlarmName" in properties
    }


def test_every_alarm_of_a_cluster_and_of_an_entry_is_one_that_standfast_listens_to() -> None:
    """Across stacks by name: a name that no rule knows would go off unheard."""
    heard = {
        prefix["prefix"]["Fn::Sub"]
        for rule in documents.resources("AWS::Events::Rule").values()
        if target(rule["Targets"][0]["Arn"]) == "Assess"
        for prefix in rule["EventPattern"].get("detail", {}).get("alarmName", [])
    }
    named = [*alarms("gpu-cluster.yaml"), *alarms("regional-entry.yaml")]
    assert len(named) == 4
    assert {next((prefix for prefix in heard if name.startswith(prefix)), name) for name in named} == heard


def test_a_cluster_of_whose_hosts_most_are_unhealthy_is_looked_at_by_the_failover_too() -> None:
    (rule,) = [
        rule["EventPattern"]["detail"]
        for rule in documents.resources("AWS::Events::Rule").values()
        if target(rule["Targets"][0]["Arn"]) == "HandleAlarmFunction" and "alarmName" in rule["EventPattern"]["detail"]
    ]
    assert rule["alarmName"] == [{"prefix": {"Fn::Sub": "${FleetName}-hosts-"}}]
    assert rule["state"] == {"value": ["ALARM"]}


def test_the_alarm_on_missing_gpus_reckons_with_the_agents_interval() -> None:
    alarm = alarms("gpu-cluster.yaml")["${FleetName}-gpus-missing-${ClusterId}"]
    told = alarm["Metrics"][0]["MetricStat"]
    script = resources("gpu-cluster.yaml")["NodeTemplate"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    config = agent_config(script.replace("${!", "${"))
    assert config is not None
    in_a_period = told["Period"] // config.interval
    assert alarm["Metrics"][1]["Expression"]["Fn::Sub"].startswith(f"{in_a_period} * ")
    assert alarm["Threshold"] == in_a_period  # those of one GPU
    assert told["Metric"]["Namespace"] == config.namespace
