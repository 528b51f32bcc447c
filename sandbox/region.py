"""One Region on this machine: the templates deployed, real inference servers behind them, and load through the entry.

What runs is what deploys. This module plays the team that owns the AWS account: it has a VPC, deploys the three
templates in their order, applies a FleetConfig and sets the switch, all through the same calls as that team.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox.aws import load_balancing
from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.models import tiny_model
from sandbox.fleet.nodes import Nodes
from standfast.aws.cluster_table import ClusterTable
from standfast.failover import FAILED
from standfast.fleet import Role
from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.fleet.routing import Routing
    from standfast.ports import View

ROOT = Path(__file__).resolve().parent.parent
FLEET = "standfast"
REGION = "us-east-1"
PRIMARY, STANDBY = "use1-a", "use1-b"
REPLICAS = {PRIMARY: 4, STANDBY: 2}
FRESH_SECONDS = 7.0
CLAIM_PORT = 7999


class SandboxError(RuntimeError):
    """The sandbox could not do what it was asked to. The message says what and why."""


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One change of the entry's weights as the front door took it: cluster id -> weight."""

    at: float
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Message:
    """One page or notice that reached a person."""

    at: float
    topic: str
    subject: str
    text: str


def _claim_network() -> tuple[socket.socket, int]:
    """A free 127.N.0.0/16, so that two sandboxes do not meet: N is ours for as long as the socket is open."""
    for second in range(11, 250):
        claim = socket.socket()
        try:
            claim.bind((f"127.{second}.0.1", CLAIM_PORT))
        except OSError:
            claim.close()
        else:
            return claim, second
    raise SandboxError("every network from 127.11.0.0/16 to 127.249.0.0/16 is taken; end some sandboxes")


class SandboxRegion:
    """A running Region. Use it as a context manager: at its end nothing of it is left."""

    def __init__(
        self,
        directory: Path,
        *,
        latencies: Latencies | None = None,
        seed: int = 0,
        say: Callable[[str], None] = lambda _: None,
        on_log: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._say = say
        self.seed = seed
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.cloud = Cloud(
            regions=(REGION,),
            latencies=latencies or Latencies(),
            seed=seed,
            log_directory=directory / "logs",
            runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
            on_log=on_log,
        )
        self.rule_changes: list[RuleChange] = []
        self.outputs: dict[str, str] = {}
        self.rule_arn = ""
        self.groups: dict[str, str] = {}
        self._messages: list[Message] = []
        self._queue = ""
        self._claim, self._second = _claim_network()

    def start(self, *, automation: str = "run") -> Self:
        """Deploy everything and wait until both clusters are proven healthy. Says each step."""
        network = self._network()
        self._say("deploying infrastructure/gpu-cluster.yaml twice: 4 replicas and 2")
        clusters = {cluster_id: self._deploy_cluster(cluster_id, network) for cluster_id in REPLICAS}
        self.groups = {cluster_id: outputs["TargetGroupArn"] for cluster_id, outputs in clusters.items()}
        self._say("deploying infrastructure/regional-entry.yaml")
        entry = self._deploy_entry(network)
        self.rule_arn = entry["ListenerRuleArn"]
        self._say("starting 6 llama.cpp servers and the front door")
        self._start_fleet([outputs["AutoScalingGroupName"] for outputs in clusters.values()])
        self._say("deploying template.yaml")
        parameters = {"FleetName": FLEET, "ListenerRuleArn": self.rule_arn, "Architecture": "arm64"}
        self.outputs = self.cloud.deploy(FLEET, ROOT / "template.yaml", parameters)
        self._subscribe()
        self._say("applying the FleetConfig; the watch begins")
        self.invoke("apply-config", {"config": self.fleet_config()})
        if automation != "observe":
            self.invoke("set-switch", {"automation": automation, "reason": "the sandbox's tour", "set_by": "sandbox"})
        self.invoke("discover-replicas", {})
        self.cloud.ticker.start()
        self.warm_up()  # while the watch makes its first passes
        self.wait_until_ready()
        return self

    def close(self) -> None:
        """End every process. May be called again."""
        for end in (self.cloud.close, *(part.close for part in self._fleet()), self._claim.close):
            end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the team does

    def fleet_config(self) -> dict[str, Any]:
        """The FleetConfig of this fleet. What it does not name has the defaults."""
        return {
            "fleet": FLEET,
            "model": {"name": self.model.version, "engine": "llama.cpp"},
            "regions": {
                REGION: {
                    "entry": {"url": self.door.url, "listener_rule_arn": self.rule_arn},
                    "clusters": {
                        cluster_id: {
                            "role": "active" if cluster_id == PRIMARY else "standby",
                            "replicas": replicas,
                            "target_group_arn": self.groups[cluster_id],
                        }
                        for cluster_id, replicas in REPLICAS.items()
                    },
                }
            },
        }

    def invoke(self, function: str, payload: Mapping[str, object]) -> Any:
        """Invoke a function as a person would. Raises SandboxError with the function's own error."""
        answer = self.cloud.client("lambda").invoke(
            FunctionName=f"{FLEET}-{function}", Payload=json.dumps(payload).encode()
        )
        result = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise SandboxError(f"{function}: {result.get('errorType')}: {result.get('errorMessage')}")
        return result

    def start_execution(self, payload: Mapping[str, object], name: str | None = None) -> str:
        """Start `cluster_failover` as from the console. Returns the execution's ARN."""
        more = {"name": name} if name else {}
        answer = self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["ClusterFailoverArn"], input=json.dumps(payload), **more
        )
        return str(answer["executionArn"])

    def execution(self, arn: str) -> dict[str, Any]:
        """What Step Functions says of an execution."""
        found: dict[str, Any] = self.cloud.client("stepfunctions").describe_execution(executionArn=arn)
        return found

    def executions(self) -> list[dict[str, Any]]:
        """All executions of `cluster_failover`, as listed."""
        found: list[dict[str, Any]] = self.cloud.client("stepfunctions").list_executions(
            stateMachineArn=self.outputs["ClusterFailoverArn"]
        )["executions"]
        return found

    def wait_for_end(self, arn: str, seconds: float = 90.0) -> dict[str, Any]:
        """Wait until an execution ended."""
        self.wait_for(f"the end of {arn}", lambda: self.execution(arn)["status"] != "RUNNING", seconds)
        return self.execution(arn)

    def view(self) -> View:
        """The state table, read as the functions read it."""
        return ClusterTable(self.outputs["ClusterTableName"], REGION, self.cloud.client("dynamodb")).view()

    def messages(self) -> tuple[Message, ...]:
        """Pages and notices that have arrived so far."""
        sqs = self.cloud.client("sqs")
        ask = {"QueueUrl": self._queue, "MaxNumberOfMessages": 10, "AttributeNames": ["SentTimestamp"]}
        while found := sqs.receive_message(**ask).get("Messages"):
            for message in found:
                body = json.loads(message["Body"])
                topic = "page" if body["TopicArn"] == self.outputs["PagesTopicArn"] else "notice"
                sent_at = int(message["Attributes"]["SentTimestamp"]) / 1000
                self._messages.append(Message(sent_at, topic, body.get("Subject", ""), body["Message"]))
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return tuple(self._messages)

    def warm_up(self) -> None:
        """Run one preflight, as the schedule does every five minutes."""
        arn = self.start_execution({"mode": "preflight", "scope_id": REGION, "trigger": "sandbox"})
        found = self.wait_for_end(arn)
        if found["status"] != "SUCCEEDED":
            raise SandboxError(f"the preflight {found['status']}: {found.get('cause')}")

    def restore(self) -> None:
        """Mend what a scenario broke, then move the traffic back to the primary, all by Standfast's own functions."""
        for cluster_id in REPLICAS:
            self.nodes.revive(cluster_id)
        self._wait_for_replicas()
        self._readmit_failed()
        desired = self.view().scope.desired
        if desired.cluster_with(Role.ACTIVE) == PRIMARY and not desired.weights[PRIMARY]:
            self._move_from(PRIMARY, "a failover ended between weights and roles: go on from there")
        if self.view().scope.desired.cluster_with(Role.ACTIVE) != PRIMARY:
            self._move_from(STANDBY, "the sandbox moves the traffic back to the primary")
        self.wait_until_ready()

    def _move_from(self, cluster_id: str, reason: str) -> None:
        payload = {"mode": "failover", "scope_id": REGION, "failed_cluster_id": cluster_id, "reason": reason}
        found = self.wait_for_end(self.start_execution(payload))
        if found["status"] != "SUCCEEDED":
            raise SandboxError(f"the way back {found['status']}: {found.get('cause')}")
        self._readmit_failed()

    def restore_baseline(self) -> None:
        """Mend the replicas, with the switch off: nothing else was changed."""
        for cluster_id in REPLICAS:
            self.nodes.revive(cluster_id)
        self.wait_for("healthy targets at the front door", self._targets_are_healthy, 60.0)

    def _readmit_failed(self) -> None:
        for cluster_id, role in self.view().scope.desired.roles.items():
            if role in FAILED:
                payload = {"cluster_id": cluster_id, "reason": "it was mended", "set_by": "sandbox"}
                self.invoke("readmit-cluster", payload)

    # Waiting

    def wait_for(self, what: str, found: Callable[[], Any], seconds: float) -> Any:
        """Ask ten times a second until there is something. Raises SandboxError when the time is up."""
        deadline = time.monotonic() + seconds
        while not (result := found()):
            if time.monotonic() > deadline:
                raise SandboxError(f"waited {seconds:g} s for {what}")
            time.sleep(0.1)
        return result

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Until the front door finds every target healthy, follows the desired weights, and the watch agrees."""
        self._wait_for_replicas(seconds)
        self.wait_for("the front door to follow the desired weights", self._entry_follows, seconds)

    def _wait_for_replicas(self, seconds: float = 60.0) -> None:
        self.wait_for("healthy targets at the front door", self._targets_are_healthy, seconds)
        self.wait_for("the watch to find both clusters healthy", self._watch_agrees, seconds)

    def _targets_are_healthy(self) -> bool:
        health = self.door.health()
        return len(health) == sum(REPLICAS.values()) and set(health.values()) == {"healthy"}

    def _watch_agrees(self) -> bool:
        assessments = self.view().assessments
        return set(assessments) == set(REPLICAS) and all(
            assessment.verdict is Verdict.HEALTHY and time.time() - assessment.assessed_at < FRESH_SECONDS
            for assessment in assessments.values()
        )

    def _entry_follows(self) -> bool:
        desired = self.view().scope.desired
        return bool(self.rule_changes) and {
            cluster_id: weight for cluster_id, weight in self.rule_changes[-1].weights.items() if weight
        } == {cluster_id: weight for cluster_id, weight in desired.weights.items() if weight}

    # Building

    def _network(self) -> dict[str, str]:
        """The VPC that a team has. Its range is bindable here, so an instance's private address is a real one."""
        ec2 = self.cloud.client("ec2")
        vpc = ec2.create_vpc(CidrBlock=f"127.{self._second}.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"127.{self._second}.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for number, zone in ((1, "a"), (2, "b"))
        ]
        return {"VpcId": vpc, "SubnetIds": ",".join(subnets)}

    def _deploy_cluster(self, cluster_id: str, network: Mapping[str, str]) -> dict[str, str]:
        parameters = {"ClusterId": cluster_id, "DesiredCapacity": str(REPLICAS[cluster_id]), **network}
        return self.cloud.deploy(f"gpu-{cluster_id}", ROOT / "infrastructure" / "gpu-cluster.yaml", parameters)

    def _deploy_entry(self, network: Mapping[str, str]) -> dict[str, str]:
        parameters = {
            "PrimaryClusterId": PRIMARY,
            "StandbyClusterId": STANDBY,
            "PrimaryTargetGroupArn": self.groups[PRIMARY],
            "StandbyTargetGroupArn": self.groups[STANDBY],
            **network,
        }
        return self.cloud.deploy("entry", ROOT / "infrastructure" / "regional-entry.yaml", parameters)

    def _start_fleet(self, group_names: list[str]) -> None:
        self.model = tiny_model(1, ROOT / "build" / "models")
        logs = self.directory / "logs"
        self.nodes = Nodes(
            self.cloud.client("ec2"),
            self.cloud.client("autoscaling"),
            group_names,
            models=lambda _: self.model,
            log_directory=logs,
        ).follow()
        self.door = FrontDoor(seed=self.seed, log=logs / "front-door.log")
        load_balancing.set_health_source(self.door.health)
        load_balancing.on_change(self._follow, region=REGION)
        self._follow(load_balancing.snapshot(REGION))

    def _fleet(self) -> list[Any]:
        return [part for name in ("door", "nodes") if (part := getattr(self, name, None)) is not None]

    def _follow(self, routing: Routing) -> None:
        self.door.apply(routing)
        clusters = {arn: cluster_id for cluster_id, arn in self.groups.items()}
        weights = next((rule.weights for rule in routing.rules if rule.arn == self.rule_arn), {})
        change = RuleChange(time.time(), {clusters.get(arn, arn): weight for arn, weight in weights.items()})
        if not self.rule_changes or self.rule_changes[-1].weights != change.weights:
            self.rule_changes.append(change)

    def _subscribe(self) -> None:
        sqs, sns = self.cloud.client("sqs"), self.cloud.client("sns")
        self._queue = sqs.create_queue(QueueName="a-person")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for topic in ("PagesTopicArn", "NoticesTopicArn"):
            sns.subscribe(TopicArn=self.outputs[topic], Protocol="sqs", Endpoint=arn)
