"""The templates that a team deploys for a cluster and for a Region's entry: valid, and safe where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all
from samtranslator.yaml_helper import yaml_parse

INFRASTRUCTURE = Path(__file__).resolve().parents[2] / "infrastructure"


def resources(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml_parse((INFRASTRUCTURE / name).read_text())
    return {logical_id: resource["Properties"] for logical_id, resource in document["Resources"].items()}


@pytest.mark.parametrize("name", ["gpu-cluster.yaml", "regional-entry.yaml"])
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
