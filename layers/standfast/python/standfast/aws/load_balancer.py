"""LoadBalancer, Inventory and TargetHealth on ELBv2 and EC2."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.errors import StandfastError
from standfast.fleet import ReplicaAddress
from standfast.rule_weights import LOW_PRIORITY, by_rule
from standfast.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import (
        ActionTypeDef,
        TargetDescriptionTypeDef,
        TargetGroupTupleTypeDef,
        TargetHealthDescriptionTypeDef,
    )

    from standfast.fleet import Entry
    from standfast.traffic import Weights

GROUPS_AT_ONCE: Final = 8
NOWHERE: Final = ":targetgroup/standfast-dry-call/0000000000000000"
"""The end of the ARN of a target group that nobody has: ELB gives each an id of its own."""
_SHUNNED: Final = frozenset({"unhealthy", "unused", "unavailable"})
"""ELB API reference, TargetHealth, State: these get no requests. `initial` and `draining` are on their way."""


class WeightedRule:
    """LoadBalancer on listener rules with one weighted forward action each.

    No SDK retries: a retry inside the SDK could write old weights seconds later, after the actuator has read again.
    """

    def __init__(self, client: ElasticLoadBalancingv2Client | None = None) -> None:
        self._client = client or boto3.client("elbv2", config=config(attempts=1))

    def read_weights(self, entry: Entry) -> Weights:
        before = dict(self._rules(entry))
        with translated("DescribeRules"):
            rules = self._client.describe_rules(RuleArns=list(before))["Rules"]
        names = {arn: name for name, arn in entry.weighted_groups().items()}
        weights = {prefix + name: 0 for prefix in before.values() for name in entry.weighted_groups()}
        for rule in rules:
            for action in rule["Actions"]:
                for group in action.get("ForwardConfig", {}).get("TargetGroups", []):
                    arn = group["TargetGroupArn"]
                    weights[before[rule["RuleArn"]] + names.get(arn, arn)] = group.get("Weight", 0)
        return weights

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        service, low_priority = by_rule(weights)
        self._write(entry, entry.listener_rule_arn, service)
        if entry.low_priority_rule_arn is not None:
            self._write(entry, entry.low_priority_rule_arn, low_priority)

    def check_writable(self, entry: Entry) -> None:
        """A write that Elastic Load Balancing must refuse, because it names a target group that there is not.

        ModifyRule has no dry run. To write the weights again that were just read would be one for whoever is alone; but
        a failover may write between the two, and the proof would send its traffic back for seconds. A write that cannot
        succeed undoes nobody's, however the calls fall. It goes the way of the real one (role, boundary, organisation,
        endpoint, throttling) up to the refusal: AWS evaluates policies before a service looks at what is named. IAM's
        simulator goes none of that way: its reference says that it may differ from what is, it stumbles over conditions
        in an organisation's policies, and the preflight would have to ask IAM's control plane in us-east-1.
        """
        nowhere = entry.listener_rule_arn.partition(":listener-rule/")[0] + NOWHERE
        for rule_arn, _ in self._rules(entry):
            with translated(f"elasticloadbalancing:ModifyRule, tried on {rule_arn}"):
                try:
                    self._client.modify_rule(RuleArn=rule_arn, Actions=[{"Type": "forward", "TargetGroupArn": nowhere}])
                except self._client.exceptions.TargetGroupNotFoundException:
                    continue
            raise StandfastError(f"{rule_arn} took a write to {nowhere}, which is no target group; look at the rule")

    def _write(self, entry: Entry, rule_arn: str, weights: Weights) -> None:
        groups: list[TargetGroupTupleTypeDef] = [
            {"TargetGroupArn": arn, "Weight": weights.get(name, 0)}
            for name, arn in sorted(entry.weighted_groups().items())
        ]
        action: ActionTypeDef = {
            "Type": "forward",
            "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}},
        }
        with translated("ModifyRule"):
            self._client.modify_rule(RuleArn=rule_arn, Actions=[action])

    @staticmethod
    def _rules(entry: Entry) -> Sequence[tuple[str, str]]:
        """Each rule's ARN, and what stands before the names in its weights."""
        low_priority = entry.low_priority_rule_arn
        return [(entry.listener_rule_arn, ""), *([(low_priority, LOW_PRIORITY)] if low_priority else [])]


class TargetInventory:
    """Inventory from target groups whose targets are instances or addresses."""

    def __init__(self, elb: ElasticLoadBalancingv2Client | None = None, ec2: EC2Client | None = None) -> None:
        self._elb = elb or boto3.client("elbv2", config=config(attempts=3))
        self._ec2 = ec2 or boto3.client("ec2", config=config(attempts=3))

    def replicas(self, entry: Entry) -> Mapping[str, Sequence[ReplicaAddress]]:
        targets = {cluster_id: self._targets(arn) for cluster_id, arn in entry.target_groups.items()}
        instances = sorted(
            {target["Id"] for found in targets.values() for target in found if target["Id"].startswith("i-")}
        )
        addresses = self._private_addresses(instances) if instances else {}
        return {
            cluster_id: [
                ReplicaAddress(f"{target['Id']}:{target['Port']}", cluster_id, f"http://{address}:{target['Port']}")
                for target in found
                if (address := addresses.get(target["Id"], "" if target["Id"].startswith("i-") else target["Id"]))
            ]
            for cluster_id, found in targets.items()
        }

    def _targets(self, target_group_arn: str) -> list[TargetDescriptionTypeDef]:
        targets = [description["Target"] for description in _described(self._elb, target_group_arn)]
        if any("Port" not in target for target in targets):
            raise StandfastError(f"{target_group_arn} has a target without a port; register instances or addresses")
        return targets

    def _private_addresses(self, instances: Sequence[str]) -> dict[str, str]:
        """Instance id -> private address. An instance that EC2 no longer knows is left out, not an error."""
        addresses: dict[str, str] = {}
        with translated("DescribeInstances"):
            pages = self._ec2.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-id", "Values": list(instances)}]
            )
            for page in pages:
                for reservation in page["Reservations"]:
                    for instance in reservation["Instances"]:
                        if "PrivateIpAddress" in instance:
                            addresses[instance["InstanceId"]] = instance["PrivateIpAddress"]
        return addresses


class TargetStates:
    """TargetHealth by DescribeTargetHealth: a call a target group, a few at once."""

    def __init__(self, elb: ElasticLoadBalancingv2Client | None = None) -> None:
        self._elb = elb or boto3.client("elbv2", config=config(attempts=3))

    def targets(self, entry: Entry, cluster_ids: Sequence[str]) -> Mapping[str, Targets]:
        groups = [entry.target_groups[cluster_id] for cluster_id in cluster_ids]
        with ThreadPoolExecutor(GROUPS_AT_ONCE) as pool:
            found = list(pool.map(lambda arn: _states(_described(self._elb, arn)), groups))
        return dict(zip(cluster_ids, found, strict=True))


def _states(descriptions: Sequence[TargetHealthDescriptionTypeDef]) -> Targets:
    healthy, shunned = 0, dict[str, list[str]]()
    for description in descriptions:
        target, health = description["Target"], description["TargetHealth"]
        state = health.get("State", "")
        healthy += state == "healthy"
        if state in _SHUNNED:
            why = ": ".join(filter(None, (health.get("Reason", state), health.get("Description", ""))))
            shunned.setdefault(why, []).append(f"{target['Id']}:{target.get('Port', '')}")
    return Targets(healthy, {why: tuple(replicas) for why, replicas in shunned.items()})


def _described(elb: ElasticLoadBalancingv2Client, target_group_arn: str) -> list[TargetHealthDescriptionTypeDef]:
    with translated("DescribeTargetHealth"):
        return elb.describe_target_health(TargetGroupArn=target_group_arn)["TargetHealthDescriptions"]
