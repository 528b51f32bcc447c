"""One Region of the fleet on this machine: clusters and an entry from the templates, real inference servers, and load.

What runs is what deploys. This module plays the team that owns the AWS account: it has a VPC and deploys the templates
in their order, through the same calls as that team.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core import DEFAULT_ACCOUNT_ID

from sandbox.aws import function_targets, load_balancing
from sandbox.aws.network import ROUND_TRIPS, WORLD
from sandbox.aws.tags import tag_conditions
from sandbox.control import ControlStack
from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.gateway import GATEWAY_ACTIONS, Gateway
from sandbox.fleet.load import Load, Plan
from sandbox.fleet.nodes import CLUSTER_TAG, Nodes
from sandbox.fleet.routing import Roads
from sandbox.plan import (
    CLIENTS,
    LOW_PRIORITY_HEADER,
    LOW_PRIORITY_VALUES,
    PREFLIGHT,
    REQUESTS_PER_SECOND,
    ROOT,
    SandboxError,
)
from standfast.aws.cluster_table import ClusterTable
from standfast.failover import FAILED, unfinished
from standfast.fleet import SHED, Role
from standfast.health import Verdict
from standfast.rule_weights import LOW_SHED
from standfast.traffic import shares

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.aws.cloud import Cloud
    from sandbox.fleet.models import Model
    from sandbox.fleet.routing import Routing
    from sandbox.plan import RegionPlan
    from standfast.fleet import Cluster
    from standfast.stores import View

FRESH_SECONDS, FRESH_REPORT_SECONDS = 7.0, 80.0
CLAIM_PORT = 7999
ENTRY_PORT = 8080
"""Of every Region's entry: each has an address of its own, as a name that leads to several needs it."""
PREFLIGHTS = ATTEMPTS = 3
INFRASTRUCTURE = ROOT / "infrastructure"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One change of the entry's weights as the front door took it: cluster id -> weight.

    `low_priority`: those of the rule for low priority.
    """

    at: float
    weights: Mapping[str, int]
    low_priority: Mapping[str, int] = field(default_factory=dict)


def clusters(view: View) -> Mapping[str, Cluster]:
    """The clusters that the view's Region has now: FleetConfig's, and what deployments made of them."""
    return view.applied.config.region(view.scope.scope_id).clusters


def _claim_network() -> tuple[socket.socket, int]:
    """A free 127.N.0.0/16, so that two Regions do not meet: N is ours for as long as the socket is open."""
    for second in range(11, 250):
        claim = socket.socket()
        try:
            claim.bind((f"127.{second}.0.1", CLAIM_PORT))
        except OSError:
            claim.close()
        else:
            return claim, second
    raise SandboxError("every network from 127.11.0.0/16 to 127.249.0.0/16 is taken; end some sandboxes")


class SandboxRegion(ControlStack):
    """A Region with clusters. Its `Sandbox` calls, in this order, `build`, `start_fleet`, `deploy` and `start_load`."""

    def __init__(self, cloud: Cloud, plan: RegionPlan, model: Model, directory: Path, *, seed: int, slots: int) -> None:
        super().__init__(cloud, plan.name)
        self.primary, self.standby = plan.primary, plan.standby
        self.replicas = dict(plan.replicas)
        self.model = model
        self.seed = seed
        self._slots = slots
        self.rule_changes: list[RuleChange] = []
        self.groups: dict[str, str] = {}
        self.entry: dict[str, str] = {}
        self.nodes: Nodes
        self.door: FrontDoor
        self.load: Load | None = None
        self._directory = directory
        self.node_roles: list[str] = []
        self._claim, self._second = _claim_network()
        self._is_dark = False

    @property
    def rule_arn(self) -> str:
        """The weighted rule."""
        return self.entry["ListenerRuleArn"]

    # Building

    def build(self) -> None:
        """Deploy the clusters and the entry."""
        network = self._network()
        for cluster_id, count in self.replicas.items():
            parameters = {"ClusterId": cluster_id, "DesiredCapacity": str(count), **network}
            outputs = self._deploy(f"gpu-{cluster_id}", "gpu-cluster.yaml", parameters)
            self.groups[cluster_id] = outputs["TargetGroupArn"]
            self.node_roles.append(f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/{outputs['NodeRoleName']}")
        parameters = {
            "PrimaryClusterId": self.primary,
            "StandbyClusterId": self.standby,
            "PrimaryTargetGroupArn": self.groups[self.primary],
            "StandbyTargetGroupArn": self.groups[self.standby],
            "LowPriorityHeader": LOW_PRIORITY_HEADER,
            "LowPriorityValues": ",".join(LOW_PRIORITY_VALUES),
            **network,
        }
        self.entry = self._deploy("entry", "regional-entry.yaml", parameters)

    def start_fleet(self) -> None:
        """Start the inference servers and the front door."""
        logs = self._directory / "logs"
        self.nodes = Nodes(
            self.client("ec2"),
            self.client("autoscaling"),
            models=lambda _: self.model,
            slots=self._slots,
            log_directory=logs,
            shell_directory=self._directory / "nodes",
            objects=self._object,
        ).follow()
        self.cloud.run_command.reach(self.name, self.nodes.shell)
        self.cloud.auto_scaling.on_change(self.name, self.nodes.follow)
        self.cloud.network.on_change(self._follow_the_network)
        self.door = FrontDoor(
            address=f"127.{self._second}.0.2",
            port=ENTRY_PORT,
            seed=self.seed,
            log=logs / f"front-door-{self.name}.log",
            invoke=function_targets.invoker(self.cloud.environments),
        )
        self._follow_the_network()
        load_balancing.set_health_source(self.door.health, region=self.name)
        load_balancing.on_change(self._follow, region=self.name)
        self._follow(load_balancing.snapshot(self.name))
        self.cloud.monitoring.watch_entry(self.name, self.entry["LoadBalancerArn"], self.door)
        self.cloud.monitoring.watch_nodes(self.name, self.nodes.nodes)

    def _object(self, bucket: str, key: str) -> bytes | None:
        """An object of S3 as a node fetches it. Its role is the one of infrastructure/gpu-cluster.yaml."""
        s3 = self.client("s3")
        try:
            body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        return body

    def start_load(self, plan: Plan | None = None, url: str | None = None) -> Load:
        """Clients from now on, in place of those before. `url`: what they ask, this Region's entry if nothing else."""
        if self.load is not None:
            self.load.close()
        usual = Plan(clients=CLIENTS, rate_per_second=REQUESTS_PER_SECOND, seed=self.seed, model=self.model.version)
        self.load = Load(plan or usual)
        return self.load.start(url or self.door.url)

    def start_gateway(self) -> Gateway:
        """A gateway in front of the entry, under a role that has what a gateway needs."""
        table = self.outputs["RequestTableName"]
        arn = f"arn:aws:dynamodb:{self.name}:{DEFAULT_ACCOUNT_ID}:table/{table}"
        variables = self.credentials_of(f"gateway-{self.name}", GATEWAY_ACTIONS, arn)
        log = self._directory / "logs" / f"gateway-{self.name}.log"
        return Gateway(self.door.url, table, self.name, variables, log=log)

    def close(self) -> None:
        """End every process. May be called again."""
        for part in (self.load, getattr(self, "door", None), getattr(self, "nodes", None), self._claim):
            if part is not None:
                part.close()

    def config(self) -> dict[str, Any]:
        """This Region's part of the FleetConfig."""
        entry = {"url": self.door.url, "listener_rule_arn": self.rule_arn}
        if "ShedTargetGroupArn" in self.entry:
            entry["shed_target_group_arn"] = self.entry["ShedTargetGroupArn"]
        return {
            "entry": entry,
            "clusters": {
                cluster_id: {
                    "role": "active" if cluster_id == self.primary else "standby",
                    "replicas": replicas,
                    "target_group_arn": self.groups[cluster_id],
                }
                for cluster_id, replicas in self.replicas.items()
            },
        }

    # What the team does

    def start_execution(self, payload: Mapping[str, object], name: str | None = None) -> str:
        """Start `cluster_failover` as from the console. Returns the execution's ARN."""
        more = {"name": name} if name else {}
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["ClusterFailoverArn"], input=json.dumps(payload), **more
        )
        return str(answer["executionArn"])

    def execution(self, arn: str) -> dict[str, Any]:
        """What Step Functions says of an execution."""
        found: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=arn)
        return found

    def executions(self) -> list[dict[str, Any]]:
        """All executions of `cluster_failover`, as listed."""
        found: list[dict[str, Any]] = self.client("stepfunctions").list_executions(
            stateMachineArn=self.outputs["ClusterFailoverArn"]
        )["executions"]
        return found

    def wait_for_end(self, arn: str, seconds: float = 90.0) -> dict[str, Any]:
        """Wait until an execution ended."""
        self.wait_for(f"the end of {arn}", lambda: self.execution(arn)["status"] != "RUNNING", seconds)
        return self.execution(arn)

    def view(self) -> View:
        """The state table, read as the functions read it."""
        return ClusterTable(self.outputs["ClusterTableName"], self.name, self.client("dynamodb")).view()

    def warm_up(self) -> None:
        """Let the schedule run its first preflight; more by hand where a busy machine let the evidence grow old."""
        known = {execution["executionArn"] for execution in self.executions()}
        self.cloud.ticker.resume(PREFLIGHT, self.name)

        def begun() -> str:
            arns = (str(execution["executionArn"]) for execution in self.executions())
            return next((arn for arn in arns if arn not in known), "")

        found = self.wait_for_end(self.wait_for("the preflight", begun, 10.0))
        for _ in range(PREFLIGHTS - 1):
            if found["status"] == "SUCCEEDED":
                return
            self.wait_until_ready()
            found = self.wait_for_end(self.start_execution({"mode": "preflight", "scope_id": self.name}))
        if found["status"] != "SUCCEEDED":
            raise SandboxError(f"{self.name}: the preflight {found['status']}: {found.get('cause')}")

    def restore(self) -> None:
        """Mend what a scenario broke, then move the traffic back to the primary, all by Standfast's own functions."""
        for cluster_id in self.replicas:
            self.nodes.revive(cluster_id)
        self._wait_for_replicas()
        self._readmit_failed()
        self.wait_for("the reconciler to record what was moved", self._is_recorded, 60.0)
        self._readmit_failed()
        if self.view().scope.desired.cluster_with(Role.ACTIVE) != self.primary:
            self._move_from(self.standby, "the sandbox moves the traffic back to the primary")
        self.wait_until_ready()

    def restore_baseline(self) -> None:
        """Mend the replicas, with the switch off: nothing else was changed."""
        for cluster_id in self.replicas:
            self.nodes.revive(cluster_id)
        self.wait_for("healthy targets at the front door", self._targets_are_healthy, 60.0)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Until the front door finds every target healthy and follows the desired weights, and Standfast agrees."""
        self._wait_for_replicas(seconds)
        self.wait_for("the nodes to report", self._nodes_report, seconds)
        self.wait_for("the front door to follow the desired weights", self._entry_follows, seconds)

    def _move_from(self, cluster_id: str, reason: str) -> None:
        """A failover by hand; once more where a busy machine let the evidence grow old meanwhile."""
        payload = {"mode": "failover", "scope_id": self.name, "failed_cluster_id": cluster_id, "reason": reason}
        for _ in range(ATTEMPTS):
            self.wait_for("the nodes to report", self._nodes_report, 120.0)
            self.wait_for("the watch to find both clusters healthy", self._watch_agrees, 60.0)
            found = self.wait_for_end(self.start_execution(payload))
            moved = self.view().scope.desired.cluster_with(Role.ACTIVE) != cluster_id
            if found["status"] == "SUCCEEDED" or moved:  # one that failed after its move has done what was asked of it
                break
        else:
            raise SandboxError(f"{self.name}: the way back {found['status']}: {found.get('cause')}")
        self._readmit_failed()

    def _readmit_failed(self) -> None:
        for cluster_id, role in self.view().scope.desired.roles.items():
            if role in FAILED:
                payload = {"cluster_id": cluster_id, "reason": "it was mended", "set_by": "sandbox"}
                self.invoke("readmit-cluster", payload)

    def _wait_for_replicas(self, seconds: float = 60.0) -> None:
        self.wait_for("healthy targets at the front door", self._targets_are_healthy, seconds)
        self.wait_for("the watch to find both clusters healthy", self._watch_agrees, seconds)

    def _is_recorded(self) -> bool:
        return unfinished(self.view().scope.desired) is None

    def _targets_are_healthy(self) -> bool:
        there, health = clusters(self.view()), self.door.health()
        groups = {cluster.target_group_arn for cluster in there.values()}
        found = [state for (group, _, _), state in health.items() if group in groups]
        return len(found) == sum(each.replicas for each in there.values()) and set(found) == {"healthy"}

    def _watch_agrees(self) -> bool:
        view = self.view()
        found = [view.assessments.get(cluster_id) for cluster_id in clusters(view)]
        return all(
            each is not None and each.verdict is Verdict.HEALTHY and time.time() - each.assessed_at < FRESH_SECONDS
            for each in found
        )

    def _nodes_report(self) -> bool:
        view = self.view()
        reports = (view.nodes.get(cluster_id) for cluster_id in clusters(view))
        return not view.applied.config.failover.require_node_report or all(
            report is not None and report.reported_at and time.time() - report.reported_at < FRESH_REPORT_SECONDS
            for report in reports
        )

    def _entry_follows(self) -> bool:
        desired = self.view().scope.desired
        return bool(self.rule_changes) and shares(self.rule_changes[-1].weights) == {
            name: weight for name, weight in shares(desired.weights).items() if name != LOW_SHED
        }

    def _network(self) -> dict[str, str]:
        """The VPC that a team has. Its range is bindable here, so an instance's private address is a real one."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock=f"127.{self._second}.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"127.{self._second}.{number}.0/24", AvailabilityZone=f"{self.name}{zone}"
            )["Subnet"]["SubnetId"]
            for number, zone in ((1, "a"), (2, "b"))
        ]
        return {"VpcId": vpc, "SubnetIds": ",".join(subnets)}

    def _deploy(self, stack: str, template: str, parameters: Mapping[str, str]) -> dict[str, str]:
        return self.cloud.deploy(stack, INFRASTRUCTURE / template, parameters, region=self.name)

    def _follow_the_network(self) -> None:
        """Who reaches this entry, and how long the way is. A Region that is lost takes its entry along."""
        network = self.cloud.network
        if network.is_lost(self.name):
            self.door.go_dark()
            self._is_dark = True
            return
        if self._is_dark:
            self.door.come_back()
            self._is_dark = False
        factor = ROUND_TRIPS * self.cloud.latency.latencies.distance
        self.door.take_roads(
            Roads(
                {at: factor * network.round_trip(source, self.name) for source, at in network.addresses.items()},
                [at for source, at in network.addresses.items() if not network.reaches(source, self.name)],
                others_closed=not network.reaches(WORLD, self.name),
            )
        )

    def _follow(self, routing: Routing) -> None:
        self.door.apply(routing)
        for arn in routing.target_groups:
            if cluster_id := tag_conditions(arn).get(f"aws:ResourceTag/{CLUSTER_TAG}"):
                self.groups[cluster_id] = arn
        names = {arn: cluster_id for cluster_id, arn in self.groups.items()}
        names[self.entry.get("ShedTargetGroupArn", "")] = SHED
        service, low_priority = (
            {
                names.get(arn, arn): weight
                for rule in routing.rules
                if rule.arn == wanted
                for arn, weight in rule.weights.items()
            }
            for wanted in (self.rule_arn, self.entry["LowPriorityRuleArn"])
        )
        before = self.rule_changes[-1] if self.rule_changes else None
        if before is None or (before.weights, before.low_priority) != (service, low_priority):
            self.rule_changes.append(RuleChange(time.time(), service, low_priority))
