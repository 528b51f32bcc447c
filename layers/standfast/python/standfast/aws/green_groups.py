"""GreenGroups on EC2 Auto Scaling and Elastic Load Balancing: a cluster by the launch template of another one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated
from standfast.aws.commands import CLUSTER_TAG
from standfast.deployment_ports import Provisioned
from standfast.errors import StandfastError
from standfast.observation import PROBE_HEADER
from standfast.rollout_plan import Group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MADE_FOR: Final = "standfast:made-for"
"""What Standfast made carries it, with the fleet's name; only that may be removed."""
_COPIED: Final = (
    "Protocol", "Port", "VpcId", "HealthCheckProtocol", "HealthCheckPort", "HealthCheckEnabled", "HealthCheckPath",
    "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount",
    "Matcher", "TargetType",
)  # fmt: skip
_NAME_LENGTH: Final = 32
_GONE: Final = frozenset({"TargetGroupNotFound", "RuleNotFound"})
_BUSY: Final = frozenset({"ResourceInUse", "ResourceInUseFault", "ScalingActivityInProgress", "ResourceContention"})
"""What cannot go yet, because something else has not gone: it is tried again."""


class GreenClusters:
    """What is made for `fleet`. Groups are found by the cluster's tag."""

    def __init__(self, fleet: str, autoscaling: Any = None, elb: Any = None, ec2: Any = None) -> None:
        self._fleet = fleet
        self._autoscaling: Any = autoscaling or boto3.client("autoscaling", config=config(attempts=3))
        self._elb: Any = elb or boto3.client("elbv2", config=config(attempts=3))
        self._ec2: Any = ec2 or boto3.client("ec2", config=config(attempts=3))

    def group(self, cluster_id: str, target_group_arn: str) -> Group | None:
        found = self._group_of(cluster_id)
        if found is None:
            return None
        nodes, most = int(found["DesiredCapacity"]), int(found["MaxSize"])
        return Group(nodes, most, self._reserved(found), _obstacle(found, target_group_arn))

    def provision(self, blue: str, blue_group_arn: str, rule_arn: str, green: str) -> Provisioned:
        source = self._group_of(blue)
        if source is None:
            raise StandfastError(f"{blue} has no Auto Scaling group with its tag; nothing can be made like it")
        if obstacle := _obstacle(source, blue_group_arn):
            raise StandfastError(f"nothing can be made like {blue}: {obstacle}")
        target_group = self._target_group(blue_group_arn, green)
        self._probe_rule(rule_arn, target_group, green)
        made = self._group_of(green) or self._make_group(source, target_group, green)
        there = tuple(each["InstanceId"] for each in made["Instances"] if each["LifecycleState"] == "InService")
        wanted = int(made["DesiredCapacity"])
        return Provisioned(target_group, there, wanted, self._refusal(made) if len(there) < wanted else "")

    def remove(self, cluster_id: str) -> tuple[str, ...]:
        left = []
        group = self._group_of(cluster_id)
        if group is not None and self._is_ours(group):
            left.append(f"Auto Scaling group {group['AutoScalingGroupName']}")
            self._delete_group(str(group["AutoScalingGroupName"]))
        elif group is not None:
            self._empty_group(group)
            if group["Instances"]:
                left.append(f"{len(group['Instances'])} instances of {group['AutoScalingGroupName']}")
        own = self._own_target_group(cluster_id)
        if own is not None:
            left += self._remove_entry(own, cluster_id)
        return tuple(left)

    def _group_of(self, cluster_id: str) -> Mapping[str, Any] | None:
        return group_of(self._autoscaling, cluster_id)

    def _is_ours(self, group: Mapping[str, Any]) -> bool:
        return any(tag["Key"] == MADE_FOR and tag["Value"] == self._fleet for tag in group["Tags"])

    def _reserved(self, group: Mapping[str, Any]) -> int | None:
        """Free instances of the reservation that the group's launch template names; None where it names none."""
        if "LaunchTemplate" not in group:
            return None
        named = group["LaunchTemplate"]
        with translated("DescribeLaunchTemplateVersions"):
            answer = self._ec2.describe_launch_template_versions(
                LaunchTemplateId=named["LaunchTemplateId"], Versions=[str(named.get("Version") or "$Default")]
            )
        data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        target = data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
        if "CapacityReservationId" not in target:
            return None
        with translated("DescribeCapacityReservations"):
            found = self._ec2.describe_capacity_reservations(CapacityReservationIds=[target["CapacityReservationId"]])
        return int(found["CapacityReservations"][0]["AvailableInstanceCount"])

    def _name(self, green: str) -> str:
        """Of a target group: 32 characters at most, and unlike that of another fleet in the account."""
        digest = hashlib.sha256(f"{self._fleet}/{green}".encode()).hexdigest()[:8]
        return f"{green[: _NAME_LENGTH - 9].rstrip('-')}-{digest}"

    def _tags(self, green: str) -> list[dict[str, str]]:
        return [{"Key": CLUSTER_TAG, "Value": green}, {"Key": MADE_FOR, "Value": self._fleet}]

    def _target_group(self, blue_group_arn: str, green: str) -> str:
        """Made like blue's. A group of that name with the same settings is the one that is there."""
        if (known := self._own_target_group(green)) is not None:
            return known
        with translated("DescribeTargetGroups"):
            source = self._elb.describe_target_groups(TargetGroupArns=[blue_group_arn])["TargetGroups"][0]
        with translated("DescribeTargetGroupAttributes"):
            attributes = self._elb.describe_target_group_attributes(TargetGroupArn=blue_group_arn)["Attributes"]
        settings = {name: source[name] for name in _COPIED if source.get(name) is not None}
        with translated("CreateTargetGroup"):
            made = self._elb.create_target_group(Name=self._name(green), Tags=self._tags(green), **settings)
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        with translated("ModifyTargetGroupAttributes"):
            self._elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
        return arn

    def _own_target_group(self, cluster_id: str) -> str | None:
        with translated("DescribeTargetGroups"):
            try:
                found = self._elb.describe_target_groups(Names=[self._name(cluster_id)])["TargetGroups"]
            except ClientError as error:
                if error_code(error) not in _GONE:
                    raise
                return None
        return str(found[0]["TargetGroupArn"]) if found else None

    def _probe_rule(self, rule_arn: str, target_group_arn: str, green: str) -> None:
        """A canary that names green reaches it, whatever the weights are. It stands before every rule that serves."""
        listener = _listener_of(rule_arn)
        rules = self._rules(listener)
        if any(_names(rule, green) for rule in rules):
            return
        taken = {int(rule["Priority"]) for rule in rules if rule["Priority"] != "default"}
        priority = next(number for number in range(1, 50_001) if number not in taken)
        with translated("CreateRule"):
            self._elb.create_rule(
                ListenerArn=listener,
                Priority=priority,
                Conditions=[
                    {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": PROBE_HEADER, "Values": [green]}}
                ],
                Actions=[
                    {
                        "Type": "forward",
                        "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": target_group_arn, "Weight": 1}]},
                    }
                ],
                Tags=self._tags(green),
            )

    def _rules(self, listener: str) -> Sequence[Mapping[str, Any]]:
        with translated("DescribeRules"):
            pages = self._elb.get_paginator("describe_rules").paginate(ListenerArn=listener)
            return [rule for page in pages for rule in page["Rules"]]

    def _make_group(self, source: Mapping[str, Any], target_group_arn: str, green: str) -> Mapping[str, Any]:
        template = source["LaunchTemplate"]
        nodes, name = int(source["DesiredCapacity"]), f"{self._fleet}-{green}"
        tags = [
            {**tag, "ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
            for tag in [*self._tags(green), {"Key": "Name", "Value": f"gpu-{green}"}]
        ]
        more = (
            {"InstanceMaintenancePolicy": source["InstanceMaintenancePolicy"]}
            if source.get("InstanceMaintenancePolicy")
            else {}
        )
        with translated("CreateAutoScalingGroup"):
            try:
                self._autoscaling.create_auto_scaling_group(
                    AutoScalingGroupName=name,
                    LaunchTemplate={
                        "LaunchTemplateId": template["LaunchTemplateId"],
                        "Version": str(template.get("Version") or "$Default"),
                    },
                    MinSize=min(int(source["MinSize"]), nodes),
                    MaxSize=max(int(source["MaxSize"]), nodes),
                    DesiredCapacity=nodes,
                    VPCZoneIdentifier=source["VPCZoneIdentifier"],
                    TargetGroupARNs=[target_group_arn],
                    HealthCheckType=source["HealthCheckType"],
                    HealthCheckGracePeriod=int(source["HealthCheckGracePeriod"]),
                    Tags=tags,
                    **more,
                )
            except ClientError as error:
                if error_code(error) != "AlreadyExists":
                    raise
        return self._group_of(green) or {"Instances": [], "DesiredCapacity": nodes, "AutoScalingGroupName": name}

    def _refusal(self, group: Mapping[str, Any]) -> str:
        with translated("DescribeScalingActivities"):
            answer = self._autoscaling.describe_scaling_activities(
                AutoScalingGroupName=group["AutoScalingGroupName"], MaxRecords=10
            )
        failed = (each for each in answer["Activities"] if each["StatusCode"] == "Failed")
        return next((str(each.get("StatusMessage", "")) for each in failed), "")

    def _delete_group(self, name: str) -> None:
        with translated("DeleteAutoScalingGroup"):
            try:
                self._autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
            except ClientError as error:
                if error_code(error) not in _BUSY:
                    raise

    def _empty_group(self, group: Mapping[str, Any]) -> None:
        if group["DesiredCapacity"] or group["MinSize"]:
            with translated("UpdateAutoScalingGroup"):
                self._autoscaling.update_auto_scaling_group(
                    AutoScalingGroupName=group["AutoScalingGroupName"], MinSize=0, DesiredCapacity=0
                )

    def _remove_entry(self, target_group_arn: str, cluster_id: str) -> list[str]:
        """The probe rule first: a target group that a rule names cannot go."""
        left = [f"target group {target_group_arn.rpartition(':')[2]}"]
        with translated("DescribeTargetGroups"):
            found = self._elb.describe_target_groups(TargetGroupArns=[target_group_arn])["TargetGroups"]
        for balancer in found[0]["LoadBalancerArns"] if found else ():
            with translated("DescribeListeners"):
                listeners = self._elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
            for listener in listeners:
                for rule in self._rules(str(listener["ListenerArn"])):
                    if _names(rule, cluster_id):
                        left.append("probe rule")
                        self._try("DeleteRule", lambda rule=rule: self._elb.delete_rule(RuleArn=rule["RuleArn"]))
        self._try("DeleteTargetGroup", lambda: self._elb.delete_target_group(TargetGroupArn=target_group_arn))
        return left

    @staticmethod
    def _try(what: str, call: Any) -> None:
        """What is gone is gone, and what is in use is tried again by the next call."""
        with translated(what):
            try:
                call()
            except ClientError as error:
                if error_code(error) not in _GONE | _BUSY:
                    raise


def group_of(autoscaling: Any, cluster_id: str) -> Mapping[str, Any] | None:
    """A cluster's Auto Scaling group, by its tag; None where it has none."""
    with translated("DescribeAutoScalingGroups"):
        answer = autoscaling.describe_auto_scaling_groups(
            Filters=[{"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster_id]}]
        )
    found: list[Mapping[str, Any]] = answer["AutoScalingGroups"]
    return found[0] if found else None


def _obstacle(group: Mapping[str, Any], target_group_arn: str) -> str:
    name = group["AutoScalingGroupName"]
    if "LaunchTemplate" not in group:
        return f"its group {name} launches by no launch template of its own (mixed instances or a launch configuration)"
    if list(group.get("TargetGroupARNs", ())) != [target_group_arn]:
        return f"its group {name} does not register its nodes with {target_group_arn} alone"
    if not group["DesiredCapacity"]:
        return f"its group {name} wants no nodes"
    return ""


def _listener_of(rule_arn: str) -> str:
    """The listener that a rule belongs to: the ARN says it."""
    head, _, rest = rule_arn.partition(":listener-rule/")
    return f"{head}:listener/{rest.rpartition('/')[0]}"


def _names(rule: Mapping[str, Any], cluster_id: str) -> bool:
    return any(
        condition["Field"] == "http-header"
        and condition["HttpHeaderConfig"]["HttpHeaderName"].lower() == PROBE_HEADER
        and condition["HttpHeaderConfig"]["Values"] == [cluster_id]
        for condition in rule["Conditions"]
    )
