"""What a team does to release a version blue/green: start it, follow it, and count what is there afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from sandbox import release_desk
from sandbox.fleet.nodes import CLUSTER_TAG
from standfast.observation import PROBE_HEADER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sandbox.fleet.models import Model
    from sandbox.region import RuleChange, SandboxRegion
    from sandbox.scenario import Stage

LIMIT_SECONDS: Final = 600.0
HOLD_SECONDS: Final = 20
QUICK: Final = {"drain_seconds": 15, "cold_start_seconds": 10, "rounds": 18}
"""What is waited for where nobody compiles, and no stream lasts longer than 15 s; three times the samples a look."""
STAGES: Final = (20, 100)
WISHES: Final = {"stages": list(STAGES), "bake_seconds": 15, "hold_seconds": HOLD_SECONDS}


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that costs. `cluster_id`: whose it is; empty for what is the entry's."""

    kind: str
    name: str
    cluster_id: str


def resources(region: SandboxRegion) -> frozenset[Resource]:
    """All Auto Scaling groups, instances that run, target groups and rules of the Region."""
    autoscaling, ec2, elb = region.client("autoscaling"), region.client("ec2"), region.client("elbv2")
    groups = autoscaling.describe_auto_scaling_groups(MaxRecords=100)["AutoScalingGroups"]
    running = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
    instances = [instance for each in running["Reservations"] for instance in each["Instances"]]
    targets = [group["TargetGroupArn"] for group in elb.describe_target_groups()["TargetGroups"]]
    listeners = elb.describe_listeners(LoadBalancerArn=region.entry["LoadBalancerArn"])["Listeners"]
    rules = [
        rule
        for each in listeners
        for rule in elb.describe_rules(ListenerArn=each["ListenerArn"], PageSize=400)["Rules"]
    ]
    found = [Resource("Auto Scaling group", each["AutoScalingGroupName"], _tagged(each["Tags"])) for each in groups]
    found += [Resource("instance", each["InstanceId"], _tagged(each.get("Tags", ()))) for each in instances]
    for arn in targets:
        tags = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
        found.append(Resource("target group", arn, _tagged(tags)))
    found += [Resource("rule", rule["RuleArn"], _probed(rule)) for rule in rules]
    return frozenset(found)


def leaked(before: Collection[Resource], after: Collection[Resource], live: Collection[str]) -> list[Resource]:
    """What was not there before and is no live cluster's, and every instance that is none's."""
    new = {each for each in after if each not in before} | {each for each in after if each.kind == "instance"}
    return sorted((each for each in new if each.cluster_id not in live), key=str)


def _tagged(tags: Sequence[Mapping[str, str]]) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == CLUSTER_TAG), "")


def _probed(rule: Mapping[str, Any]) -> str:
    for condition in rule["Conditions"]:
        header = condition.get("HttpHeaderConfig")
        if header and header["HttpHeaderName"].lower() == PROBE_HEADER.lower():
            return str(header["Values"][0])
    return ""


def prepare(stage: Stage, *models: Model, **rollouts: object) -> None:
    """Register the version that serves and others, and have the FleetConfig name the former."""
    region, name = stage.region, stage.region.model.version
    stage.say(f"registering {', '.join(model.version for model in (region.model, *models))}")
    for model in (region.model, *models):
        release_desk.register(region, name, model)
    release_desk.apply_version(stage, **{**QUICK, **rollouts})


def start(region: SandboxRegion, cluster_id: str, version: str, **wishes: object) -> str:
    """Start `blue_green_deployment` as from the console. Returns the execution's ARN."""
    return release_desk.start(region, cluster_id, version, machine="BlueGreenDeploymentArn", **{**WISHES, **wishes})


def entered_at(region: SandboxRegion, arn: str, state: str) -> float | None:
    """When an execution entered a state for the first time; None before."""
    pages = region.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    for page in pages:
        for event in page["events"]:
            if event.get("stateEnteredEventDetails", {}).get("name") == state:
                return float(event["timestamp"].timestamp())
    return None


def green_of(region: SandboxRegion) -> str:
    """The id of the cluster that the deployment under way makes; empty where none is."""
    deployment = region.view().scope.desired.deployment
    return "" if deployment is None else deployment.green


def drains(changes: Sequence[RuleChange]) -> list[float]:
    """The moments at which a cluster lost the last of its traffic."""
    return [
        after.at
        for before, after in pairwise(changes)
        if any(weight and not after.weights.get(cluster_id) for cluster_id, weight in before.weights.items())
    ]
