"""The ELBv2 seam: changes arrive late and in order, health comes from the front door, weights are validated."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws import load_balancing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.aws.latency import LatencyInjector
    from sandbox.fleet.routing import Routing

REGION = "us-east-1"
# Shared, for a session reads the services' descriptions anew.
SESSION: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


@dataclass
class Delays:
    """Stands for the latency injector: gives out the delays that a test wants."""

    seconds: list[float]

    def propagation(self, _region: str) -> float:
        return self.seconds.pop(0) if self.seconds else 0.0


@dataclass
class Entry:
    """A load balancer with one weighted rule over two target groups, of which the first has two instances."""

    elb: Any
    ec2: Any
    groups: tuple[str, str]
    instances: list[str]
    rule: str

    def weigh(self, first: int, second: int) -> None:
        weights = [
            {"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip(self.groups, (first, second), strict=True)
        ]
        self.elb.modify_rule(
            RuleArn=self.rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
        )


@pytest.fixture
def delays() -> Delays:
    return Delays([])


@pytest.fixture
def entry(delays: Delays) -> Iterator[Entry]:
    load_balancing.install(injector=cast("LatencyInjector", delays))
    load_balancing.install(injector=cast("LatencyInjector", delays))
    with mock_aws():
        ec2, elb = SESSION.client("ec2"), SESSION.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="127.12.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.12.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
            for i, zone in enumerate("ab")
        ]
        first, second = (
            elb.create_target_group(
                Name=name, Protocol="HTTP", Port=8000, VpcId=vpc, HealthCheckPath="/health",
                HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=3, HealthyThresholdCount=2,
            )["TargetGroups"][0]["TargetGroupArn"]
            for name in ("first", "second")
        )  # fmt: skip
        balancer = elb.create_load_balancer(Name="entry", Subnets=[subnet["SubnetId"] for subnet in subnets])
        listener = elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Listeners"][0]["ListenerArn"]
        rule = elb.create_rule(
            ListenerArn=listener,
            Priority=1000,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/v1/*"]}}],
            Actions=[
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": first, "Weight": 100},
                            {"TargetGroupArn": second, "Weight": 0},
                        ]
                    },
                }
            ],
        )["Rules"][0]["RuleArn"]
        elb.create_rule(
            ListenerArn=listener,
            Priority=10,
            Conditions=[
                {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "x-standfast-probe", "Values": ["a"]}}
            ],
            Actions=[{"Type": "forward", "TargetGroupArn": first}],
        )
        image = ec2.describe_images()["Images"][0]["ImageId"]
        launched = ec2.run_instances(
            ImageId=image, MinCount=2, MaxCount=2, InstanceType="t3.micro", SubnetId=subnets[1]["SubnetId"]
        )
        instances = [instance["InstanceId"] for instance in launched["Instances"]]
        elb.register_targets(TargetGroupArn=first, Targets=[{"Id": instance} for instance in instances])
        yield Entry(elb, ec2, (first, second), instances, rule)
        load_balancing.reset()


def listen() -> queue.SimpleQueue[Routing]:
    arrived: queue.SimpleQueue[Routing] = queue.SimpleQueue()
    load_balancing.on_change(arrived.put, region=REGION)
    return arrived


def weights(routing: Routing, entry: Entry) -> tuple[int, ...]:
    (rule,) = (rule for rule in routing.rules if rule.arn == entry.rule)
    return tuple(rule.weights[arn] for arn in entry.groups)


def test_a_snapshot_holds_rules_health_checks_and_private_addresses(entry: Entry) -> None:
    routing = load_balancing.snapshot(REGION)
    probe, service = routing.rules
    assert (probe.priority, probe.header, probe.weights) == (10, ("x-standfast-probe", "a"), {entry.groups[0]: 1})
    assert (service.priority, service.header, service.paths) == (1000, None, ("/v1/*",))
    assert weights(routing, entry) == (100, 0)
    group = routing.target_groups[entry.groups[0]]
    assert [target.target_id for target in group.targets] == entry.instances
    assert all(target.address.startswith("127.12.1.") and target.port == 8000 for target in group.targets)
    assert (group.health_path, group.interval_seconds, group.timeout_seconds) == ("/health", 5.0, 3.0)
    assert (group.healthy_threshold, group.unhealthy_threshold) == (2, 2)


def test_a_change_arrives_after_its_propagation_delay(entry: Entry, delays: Delays) -> None:
    arrived = listen()
    delays.seconds = [0.15]
    entry.weigh(0, 100)
    with pytest.raises(queue.Empty):
        arrived.get(timeout=0.05)
    assert weights(arrived.get(timeout=2), entry) == (0, 100)


def test_a_fast_later_write_does_not_overtake_a_slow_earlier_one(entry: Entry, delays: Delays) -> None:
    arrived = listen()
    delays.seconds = [0.1, 0.0]
    entry.weigh(50, 50)
    entry.weigh(0, 100)
    assert [weights(arrived.get(timeout=2), entry) for _ in range(2)] == [(50, 50), (0, 100)]


def test_a_write_that_changes_nothing_tells_nobody(entry: Entry) -> None:
    arrived = listen()
    entry.weigh(100, 0)
    entry.weigh(0, 100)
    assert weights(arrived.get(timeout=2), entry) == (0, 100)
    assert arrived.empty()


def test_a_deregistered_and_a_terminated_target_leave_the_routing(entry: Entry) -> None:
    first, second = entry.instances
    entry.elb.deregister_targets(TargetGroupArn=entry.groups[0], Targets=[{"Id": first}])
    assert [t.target_id for t in load_balancing.snapshot(REGION).target_groups[entry.groups[0]].targets] == [second]
    entry.elb.deregister_targets(TargetGroupArn=entry.groups[0], Targets=[{"Id": first}])  # as AWS: it is out
    arrived = listen()
    entry.ec2.terminate_instances(InstanceIds=[second])
    assert arrived.get(timeout=2).target_groups[entry.groups[0]].targets == ()


@pytest.mark.parametrize("weight", [-1, 1000])
def test_weights_that_aws_refuses_are_refused(entry: Entry, weight: int) -> None:
    with pytest.raises(ClientError, match="between 0 and 999"):
        entry.weigh(weight, 0)
    assert weights(load_balancing.snapshot(REGION), entry) == (100, 0)


def test_target_health_is_what_the_front_door_found(entry: Entry) -> None:
    first, second = entry.instances
    load_balancing.set_health_source(lambda: {(entry.groups[0], first, 8000): "unhealthy"})
    answer = entry.elb.describe_target_health(TargetGroupArn=entry.groups[0])["TargetHealthDescriptions"]
    found = {each["Target"]["Id"]: each["TargetHealth"] for each in answer}
    assert (found[first]["State"], found[first]["Reason"]) == ("unhealthy", "Target.FailedHealthChecks")
    assert (found[second]["State"], found[second]["Reason"]) == ("initial", "Elb.InitialHealthChecking")


def test_a_condition_that_the_front_door_cannot_obey_is_refused_by_name(entry: Entry) -> None:
    with pytest.raises(load_balancing.UnsupportedRuleError, match="source-ip"):
        entry.elb.modify_rule(
            RuleArn=entry.rule,
            Conditions=[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}],
        )
