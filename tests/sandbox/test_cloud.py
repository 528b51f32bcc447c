"""The fleet and its entry come from the templates that a team deploys, and the front door is told of what they say."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.aws import load_balancing
from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import ELB_PROPAGATION, Latencies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.fleet.routing import Routing

ROOT = Path(__file__).resolve().parents[2]
INFRASTRUCTURE = ROOT / "infrastructure"
PROPAGATION_SECONDS = 0.2


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(
        latencies=Latencies(elb_propagation=PROPAGATION_SECONDS, elb_propagation_jitter=0.0),
        log_directory=tmp_path_factory.mktemp("logs"),
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def stacks(cloud: Cloud) -> dict[str, dict[str, str]]:
    """Outputs by stack: a primary of 4 nodes, a standby of 2, and the entry, in a network on loopback."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="127.11.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.11.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in ((1, "us-east-1a"), (2, "us-east-1b"))
    ]
    network = {"VpcId": vpc, "SubnetIds": ",".join(subnets)}
    outputs = {
        cluster: cloud.deploy(
            f"cluster-{cluster}",
            INFRASTRUCTURE / "gpu-cluster.yaml",
            {**network, "ClusterId": cluster, "DesiredCapacity": capacity},
        )
        for cluster, capacity in (("blue", "4"), ("green", "2"))
    }
    outputs["entry"] = cloud.deploy(
        "entry",
        INFRASTRUCTURE / "regional-entry.yaml",
        {
            **network,
            "PrimaryClusterId": "blue",
            "StandbyClusterId": "green",
            "PrimaryTargetGroupArn": outputs["blue"]["TargetGroupArn"],
            "StandbyTargetGroupArn": outputs["green"]["TargetGroupArn"],
            "PrimarySecurityGroupId": outputs["blue"]["NodeSecurityGroupId"],
            "StandbySecurityGroupId": outputs["green"]["NodeSecurityGroupId"],
        },
    )
    return outputs


def test_every_node_is_a_target_at_its_private_address(stacks: dict[str, dict[str, str]]) -> None:
    groups = load_balancing.snapshot("us-east-1").target_groups
    for cluster, nodes in (("blue", 4), ("green", 2)):
        targets = groups[stacks[cluster]["TargetGroupArn"]].targets
        assert len(targets) == nodes
        assert all(target.address.startswith("127.11.") and target.port == 8000 for target in targets)


def test_the_entry_has_one_weighted_rule_and_a_probe_rule_for_each_cluster(stacks: dict[str, dict[str, str]]) -> None:
    blue, green = (stacks[cluster]["TargetGroupArn"] for cluster in ("blue", "green"))
    first, second, service = load_balancing.snapshot("us-east-1").rules
    assert (first.header, first.weights) == (("x-standfast-probe", "blue"), {blue: 1})
    assert (second.header, second.weights) == (("x-standfast-probe", "green"), {green: 1})
    assert (service.arn, service.header) == (stacks["entry"]["ListenerRuleArn"], None)
    assert service.paths == ("/v1/*", "/health")
    assert service.weights == {blue: 100, green: 0}


def test_nodes_carry_their_cluster_s_tag(cloud: Cloud, stacks: dict[str, dict[str, str]]) -> None:
    tagged = cloud.client("ec2").describe_instances(Filters=[{"Name": "tag:standfast:cluster", "Values": ["green"]}])
    assert sum(len(reservation["Instances"]) for reservation in tagged["Reservations"]) == 2


def test_nodes_admit_the_entry_on_the_engine_s_port_only(cloud: Cloud, stacks: dict[str, dict[str, str]]) -> None:
    (group,) = cloud.client("ec2").describe_security_groups(GroupIds=[stacks["blue"]["NodeSecurityGroupId"]])[
        "SecurityGroups"
    ]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (8000, 8000, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [stacks["entry"]["EntrySecurityGroupId"]]


def test_new_weights_arrive_after_the_propagation_delay(cloud: Cloud, stacks: dict[str, dict[str, str]]) -> None:
    arrived: queue.SimpleQueue[Routing] = queue.SimpleQueue()
    stop = load_balancing.on_change(arrived.put)
    weights = {stacks["blue"]["TargetGroupArn"]: 0, stacks["green"]["TargetGroupArn"]: 100}
    cloud.latency.clear()
    cloud.client("elbv2").modify_rule(
        RuleArn=stacks["entry"]["ListenerRuleArn"],
        Actions=[
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
                },
            }
        ],
    )
    with pytest.raises(queue.Empty):
        arrived.get(timeout=PROPAGATION_SECONDS / 4)
    routing = arrived.get(timeout=5)
    stop()
    (rule,) = (rule for rule in routing.rules if rule.arn == stacks["entry"]["ListenerRuleArn"])
    assert rule.weights == weights
    (injection,) = (each for each in cloud.latency.injections() if each.kind == ELB_PROPAGATION)
    assert injection.ended_at - injection.started_at == pytest.approx(PROPAGATION_SECONDS)


def test_the_control_plane_deploys_whole(cloud: Cloud, stacks: dict[str, dict[str, str]]) -> None:
    rule = stacks["entry"]["ListenerRuleArn"]
    outputs = cloud.deploy("standfast", ROOT / "template.yaml", {"ListenerRuleArn": rule})
    machines = cloud.client("stepfunctions").list_state_machines()["stateMachines"]
    assert outputs["ClusterFailoverArn"] in {machine["stateMachineArn"] for machine in machines}
