"""The instances of Auto Scaling groups, each with a running replica at its own private address.

The VPC's range lies in 127.0.0.0/8, so the private address that EC2 gives an instance can be bound here. Two sandboxes
at once need different ranges: both would want the same addresses.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.fleet.replica import Replica
from sandbox.fleet.shell import Hardware, NodeShell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sandbox.fleet.models import Model

CLUSTER_TAG: Final = "standfast:cluster"


@dataclass(frozen=True, slots=True)
class Node:
    """One instance, the replica that it runs, and its shell. `group` is its Auto Scaling group."""

    instance_id: str
    cluster_id: str
    replica: Replica
    shell: NodeShell
    group: str = ""
    user_data: str = ""

    def gpus(self) -> list[dict[str, str]] | None:
        """What nvidia-smi says of each GPU; None when it does not answer."""
        return self.shell.gpus()


class Nodes:
    """Replicas for the InService instances of all groups with a cluster's tag. `follow` may be called while others do.

    `ec2_client` and `autoscaling_client` are boto3 clients of one Region. `models` gives the model that a cluster
    serves. Under `shell_directory` each node has a shell with the GPUs of its instance type. `objects`: what nodes
    fetch from S3.
    """

    def __init__(
        self,
        ec2_client: Any,
        autoscaling_client: Any,
        *,
        models: Callable[[str], Model],
        shell_directory: Path,
        engine_port: int = 8000,
        slots: int = 4,
        log_directory: Path | None = None,
        objects: Callable[[str, str], bytes | None] | None = None,
    ) -> None:
        self._ec2 = ec2_client
        self._autoscaling = autoscaling_client
        self._models = models
        self._engine_port = engine_port
        self._slots = slots
        self._log_directory = log_directory
        self._shell_directory = shell_directory
        self._objects = objects or (lambda _bucket, _key: None)
        self._nodes: dict[str, Node] = {}
        self._following = threading.Lock()
        self._on_new: Callable[[Node], object] = lambda _: None

    def on_new(self, seen: Callable[[Node], object]) -> None:
        """Calls `seen` with each new node before it serves: a scenario may make it sick."""
        self._on_new = seen

    def follow(self) -> Self:
        """Makes nodes of new instances, ends those of instances that are gone, and leaves the others as they are.

        New replicas start side by side; returns once they serve. Raises ValueError for an instance without the cluster
        tag, ChildError for a replica that does not start: then nothing of this call is left running.
        """
        with self._following:
            self._follow()
        return self

    def _follow(self) -> None:
        instances = {instance["InstanceId"]: instance for instance in self._in_service()}
        gone = [node for name, node in self._nodes.items() if name not in instances]
        self._nodes = {name: node for name, node in self._nodes.items() if name in instances}
        for node in gone:
            _end(node)
        new = [self._node(instance) for name, instance in instances.items() if name not in self._nodes]
        for node in new:
            self._on_new(node)
        try:
            _start([node.replica for node in new if node.shell.can_start_engine()])
        except BaseException:
            for node in new:
                _end(node)
            raise
        self._nodes = {**self._nodes, **{node.instance_id: node for node in new}}

    def nodes(self, cluster_id: str | None = None) -> tuple[Node, ...]:
        """All nodes, or those of one cluster. Raises KeyError for a cluster that has none."""
        if cluster_id is None:
            return tuple(self._nodes.values())
        found = tuple(node for node in self._nodes.values() if node.cluster_id == cluster_id)
        if not found:
            raise KeyError(f"no node has the tag {CLUSTER_TAG} = {cluster_id}")
        return found

    def shell(self, instance_id: str) -> NodeShell | None:
        """The shell of an instance, None where no agent could run anything."""
        node = self._nodes.get(instance_id)
        return None if node is None else node.shell

    def kill(self, cluster_id: str) -> None:
        """SIGKILL to every replica of the cluster. The instances stay."""
        for node in self.nodes(cluster_id):
            node.replica.kill()

    def pause(self, cluster_id: str) -> None:
        """SIGSTOP to every replica of the cluster: it connects and never answers."""
        for node in self.nodes(cluster_id):
            node.replica.pause()

    def revive(self, cluster_id: str) -> None:
        """Wakes the paused and starts the dead replicas of the cluster. Returns once they serve."""
        replicas = [node.replica for node in self.nodes(cluster_id)]
        for replica in replicas:
            replica.resume()
        _start([replica for replica in replicas if not replica.alive])

    def close(self) -> None:
        """Ends all replicas. May be called again."""
        for node in self._nodes.values():
            _end(node)
        self._nodes = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_service(self) -> list[Mapping[str, Any]]:
        tagged = [{"Name": "tag-key", "Values": [CLUSTER_TAG]}]
        found = self._autoscaling.describe_auto_scaling_groups(Filters=tagged, MaxRecords=100)["AutoScalingGroups"]
        ids = [
            instance["InstanceId"]
            for group in found
            for instance in group["Instances"]
            if instance["LifecycleState"] == "InService"
        ]
        if not ids:  # describe_instances without ids would give all
            return []
        reservations = self._ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return [instance for reservation in reservations for instance in reservation["Instances"]]

    def _node(self, instance: Mapping[str, Any]) -> Node:
        instance_id: str = instance["InstanceId"]
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
        if CLUSTER_TAG not in tags:
            raise ValueError(
                f"{instance_id} has no tag {CLUSTER_TAG}: its Auto Scaling group must propagate it at launch"
            )
        cluster_id = tags[CLUSTER_TAG]
        log = None if self._log_directory is None else self._log_directory / f"{cluster_id}-{instance_id}.log"
        replica = Replica(
            instance["PrivateIpAddress"],
            self._engine_port,
            self._models(cluster_id),
            slots=self._slots,
            log=log,
            name=f"{cluster_id} {instance_id}",
        )
        group = tags.get("aws:autoscaling:groupName", "")
        return Node(
            instance_id, cluster_id, replica, self._shell(instance, replica), group, self._user_data(instance_id)
        )

    def _user_data(self, instance_id: str) -> str:
        """The script of the instance's first boot."""
        found = self._ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        return base64.b64decode(found["UserData"].get("Value", "")).decode()

    def _shell(self, instance: Mapping[str, Any], replica: Replica) -> NodeShell:
        types = self._ec2.describe_instance_types(InstanceTypes=[instance["InstanceType"]])["InstanceTypes"]
        gpus = [
            Hardware(gpu["Count"], f"{gpu['Manufacturer']} {gpu['Name']}", gpu["MemoryInfo"]["SizeInMiB"])
            for gpu in types[0].get("GpuInfo", {}).get("Gpus", ())
        ]
        hardware = gpus[0] if gpus else Hardware(count=0)
        return NodeShell(
            self._shell_directory / instance["InstanceId"], hardware, engine=replica, objects=self._objects
        )


def _end(node: Node) -> None:
    node.replica.close()
    node.shell.close()


def _start(replicas: Sequence[Replica]) -> None:
    for replica in replicas:
        replica.begin()
    for replica in replicas:
        replica.wait_until_ready()
