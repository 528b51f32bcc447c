"""Each instance of an Auto Scaling group runs a replica at its own private address."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sandbox.fleet.models import tiny_model
from sandbox.fleet.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.fleet.replica import Replica


@pytest.fixture(scope="module")
def clients() -> Iterator[tuple[Any, Any]]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        ec2, autoscaling = boto3.client("ec2", "us-east-1"), boto3.client("autoscaling", "us-east-1")
        vpc = ec2.create_vpc(CidrBlock="127.15.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="127.15.1.0/24")["Subnet"]["SubnetId"]
        ec2.create_launch_template(
            LaunchTemplateName="gpu",
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g5.xlarge"},  # an image that moto knows
        )
        make_group(autoscaling, "blue", subnet, size=2)
        make_group(autoscaling, "green", subnet)
        yield ec2, autoscaling


def make_group(autoscaling: Any, name: str, subnet: str, *, size: int = 1, tagged: bool = True) -> None:
    tag = {"Key": "standfast:cluster", "Value": f"{name}-cluster", "PropagateAtLaunch": tagged}
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=0, MaxSize=4, DesiredCapacity=size,
        LaunchTemplate={"LaunchTemplateName": "gpu"}, VPCZoneIdentifier=subnet, Tags=[tag],
    )  # fmt: skip


@pytest.fixture
def nodes(clients: tuple[Any, Any], tmp_path: Path) -> Iterator[Nodes]:
    with socket.create_server(("", 0)) as free:  # free at every address
        port = free.getsockname()[1]
    seeds = {"blue-cluster": 1, "green-cluster": 2, "late-cluster": 2}
    with Nodes(
        *clients,
        models=lambda cluster_id: tiny_model(seeds[cluster_id], tmp_path),
        engine_port=port,
        log_directory=tmp_path,
        shell_directory=tmp_path / "nodes",
    ) as nodes:
        yield nodes.follow()


def answers(replica: Replica) -> bool:
    """Whether a replica answers there; raises ConnectionRefusedError when nothing listens."""
    with socket.create_connection((replica.address, replica.port), timeout=1) as connection:
        connection.settimeout(0.3)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: node\r\n\r\n")
        try:
            return connection.recv(64).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            return False


def replicas(nodes: Nodes, cluster_id: str) -> list[Replica]:
    return [node.replica for node in nodes.nodes(cluster_id)]


def test_a_cluster_is_killed_and_revived_and_the_other_stays(nodes: Nodes) -> None:
    blue, green = replicas(nodes, "blue-cluster"), replicas(nodes, "green-cluster")
    assert (len(blue), len(green)) == (2, 1)
    assert all(replica.address.startswith("127.15.1.") for replica in blue + green)
    assert all(answers(replica) for replica in blue + green)
    nodes.kill("blue-cluster")
    for replica in blue:
        with pytest.raises(ConnectionRefusedError):
            answers(replica)
    assert answers(green[0])
    nodes.revive("blue-cluster")
    assert all(answers(replica) for replica in blue)


def test_a_paused_cluster_connects_and_does_not_answer_until_it_is_revived(nodes: Nodes) -> None:
    (green,) = replicas(nodes, "green-cluster")
    nodes.pause("green-cluster")
    assert not answers(green)
    nodes.revive("green-cluster")
    assert answers(green)


def test_nodes_follow_the_instances_of_their_groups(nodes: Nodes, clients: tuple[Any, Any]) -> None:
    _, autoscaling = clients
    before = {node.instance_id: node for node in nodes.nodes()}
    lost = nodes.nodes("blue-cluster")[0]
    autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=lost.instance_id, ShouldDecrementDesiredCapacity=False
    )
    nodes.follow()
    after = {node.instance_id: node for node in nodes.nodes()}
    assert len(nodes.nodes("blue-cluster")) == 2
    assert lost.instance_id not in after
    assert not lost.replica.alive
    assert nodes.shell(lost.instance_id) is None
    assert all(after[name] is node for name, node in before.items() if name != lost.instance_id)
    assert all(answers(node.replica) for node in after.values())


def test_a_node_has_a_shell_with_the_gpus_of_its_instance_type(nodes: Nodes) -> None:
    first, second = nodes.nodes("blue-cluster")
    assert first.shell is nodes.shell(first.instance_id)
    asked = "#!/bin/sh\nnvidia-smi --query-gpu=index,name --format=csv\n"
    assert first.shell.run(asked, 10.0).output == "index, name\n0, NVIDIA A10G\n"
    first.shell.remove_gpu(0)
    assert first.shell.run(asked, 10.0).status == 6
    assert second.shell.run(asked, 10.0).status == 0


def test_closing_frees_every_address(nodes: Nodes) -> None:
    bound = [(node.replica.address, node.replica.port) for node in nodes.nodes()]
    nodes.close()
    assert nodes.nodes() == ()
    for address in bound:
        socket.create_server(address).close()


def test_a_group_that_is_made_later_is_followed_and_one_that_goes_takes_its_nodes_along(
    nodes: Nodes, clients: tuple[Any, Any]
) -> None:
    _, autoscaling = clients
    subnet = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["VPCZoneIdentifier"]
    make_group(autoscaling, "late", subnet)
    (late,) = nodes.follow().nodes("late-cluster")
    assert answers(late.replica)
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="late", ForceDelete=True)
    nodes.follow()
    assert not late.replica.alive
    with pytest.raises(KeyError, match="late-cluster"):
        nodes.nodes("late-cluster")


def test_unknown_clusters_and_untagged_instances_are_named(nodes: Nodes, clients: tuple[Any, Any]) -> None:
    with pytest.raises(KeyError, match="red-cluster"):
        nodes.kill("red-cluster")
    _, autoscaling = clients
    subnet = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["VPCZoneIdentifier"]
    make_group(autoscaling, "plain", subnet, tagged=False)
    with pytest.raises(ValueError, match="has no tag standfast:cluster"):
        nodes.follow()
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="plain", ForceDelete=True)
