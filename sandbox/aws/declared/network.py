"""EC2, Auto Scaling and Elastic Load Balancing: the fleet and its entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandbox.aws.auto_scaling import stabilized
from sandbox.aws.resources import Created, ResourceType, pick, tag_map

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties

_PEER: Final = ("Description", "CidrIp", "SourceSecurityGroupId", "DestinationSecurityGroupId")
_HEALTH_CHECK: Final = (
    "HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath", "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher",
)  # fmt: skip
_GROUP_SIZE: Final = (
    "MinSize", "MaxSize", "DesiredCapacity", "LaunchTemplate", "HealthCheckType", "HealthCheckGracePeriod",
)  # fmt: skip


def _security_group(context: Context, properties: Properties) -> Created:
    tags = [{"ResourceType": "security-group", "Tags": properties["Tags"]}] if properties.get("Tags") else None
    answer = context.call(
        "ec2", "create_security_group", GroupName=context.name, TagSpecifications=tags,
        Description=properties["GroupDescription"], VpcId=properties["VpcId"],
    )  # fmt: skip
    group = answer["GroupId"]
    for rule in properties.get("SecurityGroupIngress", []):
        _admit(context, "authorize_security_group_ingress", group, rule)
    if properties.get("SecurityGroupEgress"):  # with rules of its own, a group loses the rule that lets everything out
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        context.call("ec2", "revoke_security_group_egress", GroupId=group, IpPermissions=everything)
    for rule in properties.get("SecurityGroupEgress", []):
        _admit(context, "authorize_security_group_egress", group, rule)
    return Created(group, {"GroupId": group, "VpcId": properties["VpcId"]})


def _admit(context: Context, operation: str, group: str, rule: Properties) -> None:
    description = pick(rule, "Description")
    permission: dict[str, Any] = pick(rule, "IpProtocol", "FromPort", "ToPort")
    if "CidrIp" in rule:
        permission["IpRanges"] = [{"CidrIp": rule["CidrIp"], **description}]
    other = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if other:
        permission["UserIdGroupPairs"] = [{"GroupId": other, **description}]
    context.call("ec2", operation, GroupId=group, IpPermissions=[permission])


def _ingress(context: Context, properties: Properties) -> Created:
    _admit(context, "authorize_security_group_ingress", properties["GroupId"], properties)
    return Created(context.logical_id)


def _egress(context: Context, properties: Properties) -> Created:
    _admit(context, "authorize_security_group_egress", properties["GroupId"], properties)
    return Created(context.logical_id)


def _launch_template(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "ec2", "create_launch_template", LaunchTemplateName=context.name,
        **pick(properties, "LaunchTemplateData", "VersionDescription"),
    )["LaunchTemplate"]  # fmt: skip
    return _template_version(answer["LaunchTemplateId"], answer["LatestVersionNumber"])


def _update_launch_template(context: Context, created: Created, properties: Properties) -> Created:
    answer = context.call(
        "ec2", "create_launch_template_version", LaunchTemplateId=created.physical_id,
        **pick(properties, "LaunchTemplateData", "VersionDescription"),
    )["LaunchTemplateVersion"]  # fmt: skip
    return _template_version(created.physical_id, answer["VersionNumber"])


def _template_version(template: str, version: int) -> Created:
    return Created(
        template,
        {"LaunchTemplateId": template, "LatestVersionNumber": str(version), "DefaultVersionNumber": "1"},
    )


def _auto_scaling_group(context: Context, properties: Properties) -> Created:
    with stabilized():
        context.call(
            "autoscaling", "create_auto_scaling_group", AutoScalingGroupName=context.name,
            VPCZoneIdentifier=",".join(properties["VPCZoneIdentifier"]),
            **pick(properties, *_GROUP_SIZE, "TargetGroupARNs", "TerminationPolicies", "Tags",
                   "NewInstancesProtectedFromScaleIn", DefaultCooldown="Cooldown"),
        )  # fmt: skip
    return Created(context.name)


def _update_auto_scaling_group(context: Context, created: Created, properties: Properties) -> Created:
    with stabilized():
        context.call(
            "autoscaling", "update_auto_scaling_group", AutoScalingGroupName=created.physical_id,
            **pick(properties, *_GROUP_SIZE),
        )  # fmt: skip
    return created


def _delete_auto_scaling_group(context: Context, created: Created) -> None:
    with stabilized():
        context.call(
            "autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=created.physical_id, ForceDelete=True
        )


def _load_balancer(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "elbv2", "create_load_balancer", Name=context.name,
        **pick(properties, "Type", "Scheme", "Subnets", "SecurityGroups", "Tags", "IpAddressType"),
    )["LoadBalancers"][0]  # fmt: skip
    arn = answer["LoadBalancerArn"]
    _load_balancer_attributes(context, Created(arn), properties)
    full_name = arn.split(":loadbalancer/")[1]
    return Created(
        arn, {"DNSName": answer["DNSName"], "LoadBalancerArn": arn, "LoadBalancerFullName": full_name,
              "LoadBalancerName": context.name, "CanonicalHostedZoneID": answer["CanonicalHostedZoneId"]},
    )  # fmt: skip


def _load_balancer_attributes(context: Context, created: Created, properties: Properties) -> Created:
    if properties.get("LoadBalancerAttributes"):
        context.call(
            "elbv2", "modify_load_balancer_attributes",
            LoadBalancerArn=created.physical_id, Attributes=properties["LoadBalancerAttributes"],
        )  # fmt: skip
    return created


def _target_group(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "elbv2", "create_target_group", Name=context.name,
        **pick(properties, "Protocol", "Port", "VpcId", "TargetType", "Tags", *_HEALTH_CHECK),
    )["TargetGroups"][0]  # fmt: skip
    arn = answer["TargetGroupArn"]
    _target_group_attributes(context, arn, properties)
    if properties.get("Targets"):
        context.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=properties["Targets"])
    return Created(
        arn, {"TargetGroupArn": arn, "TargetGroupName": context.name, "TargetGroupFullName": arn.rsplit(":", 1)[1]}
    )


def _target_group_attributes(context: Context, arn: str, properties: Properties) -> None:
    if properties.get("TargetGroupAttributes"):
        context.call(
            "elbv2", "modify_target_group_attributes",
            TargetGroupArn=arn, Attributes=properties["TargetGroupAttributes"],
        )  # fmt: skip


def _update_target_group(context: Context, created: Created, properties: Properties) -> Created:
    context.call("elbv2", "modify_target_group", TargetGroupArn=created.physical_id, **pick(properties, *_HEALTH_CHECK))
    _target_group_attributes(context, created.physical_id, properties)
    return created


def _web_acl_association(context: Context, properties: Properties) -> Created:
    context.call("wafv2", "associate_web_acl", **pick(properties, "ResourceArn", "WebACLArn"))
    return Created(f"{properties['WebACLArn']}|{properties['ResourceArn']}")


def _listener(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "elbv2", "create_listener",
        **pick(properties, "LoadBalancerArn", "Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions"),
    )["Listeners"][0]  # fmt: skip
    return Created(answer["ListenerArn"], {"ListenerArn": answer["ListenerArn"]})


def _listener_rule(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "elbv2", "create_rule", **pick(properties, "ListenerArn", "Priority", "Conditions", "Actions")
    )["Rules"][0]  # fmt: skip
    return Created(answer["RuleArn"], {"RuleArn": answer["RuleArn"]})


def _update_listener_rule(context: Context, created: Created, properties: Properties) -> Created:
    context.call("elbv2", "modify_rule", RuleArn=created.physical_id, **pick(properties, "Conditions", "Actions"))
    return created


def _endpoint(context: Context, properties: Properties) -> Created:
    tags = tag_map(properties) or {}
    answer = context.call(
        "ec2", "create_vpc_endpoint",
        TagSpecifications=[
            {"ResourceType": "vpc-endpoint", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ] if tags else None,
        **pick(properties, "VpcId", "ServiceName", "VpcEndpointType", "SubnetIds", "SecurityGroupIds",
               "PrivateDnsEnabled", "RouteTableIds", "PolicyDocument"),
    )["VpcEndpoint"]  # fmt: skip
    return Created(answer["VpcEndpointId"], {"Id": answer["VpcEndpointId"]})


_FORWARD: Final = (
    "ForwardConfig.TargetGroups.TargetGroupArn", "ForwardConfig.TargetGroups.Weight",
    "ForwardConfig.TargetGroupStickinessConfig.Enabled",
)  # fmt: skip

TYPES: Final = (
    ResourceType(
        "AWS::EC2::SecurityGroup",
        consumes=("GroupName", "GroupDescription", "VpcId", "Tags.*",
                  *(f"{direction}.{name}" for direction in ("SecurityGroupIngress", "SecurityGroupEgress")
                    for name in ("IpProtocol", "FromPort", "ToPort", *_PEER))),
        create=_security_group, name_property="GroupName", attributes=("GroupId", "VpcId"),
        delete=lambda context, created: context.call("ec2", "delete_security_group", GroupId=created.physical_id),
    ),
    ResourceType("AWS::EC2::SecurityGroupIngress", create=_ingress,
                 consumes=("GroupId", "IpProtocol", "FromPort", "ToPort", *_PEER[:3])),
    ResourceType("AWS::EC2::SecurityGroupEgress", create=_egress,
                 consumes=("GroupId", "IpProtocol", "FromPort", "ToPort", *_PEER[:2], _PEER[3])),
    ResourceType(
        "AWS::EC2::VPCEndpoint",
        consumes=("VpcId", "ServiceName", "VpcEndpointType", "SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled",
                  "RouteTableIds", "PolicyDocument.*", "Tags.*"),
        create=_endpoint, attributes=("Id",),
    ),
    ResourceType(
        "AWS::EC2::LaunchTemplate",
        consumes=("LaunchTemplateName", "VersionDescription", "LaunchTemplateData.ImageId",
                  "LaunchTemplateData.InstanceType", "LaunchTemplateData.IamInstanceProfile.*",
                  "LaunchTemplateData.SecurityGroupIds", "LaunchTemplateData.BlockDeviceMappings.*",
                  "LaunchTemplateData.MetadataOptions.*", "LaunchTemplateData.TagSpecifications.*",
                  "LaunchTemplateData.UserData", "LaunchTemplateData.CapacityReservationSpecification.*",
                  "LaunchTemplateData.InstanceMarketOptions.*"),
        inert={"LaunchTemplateData.Monitoring.*": "stored and described; instances have no metrics of their own here"},
        create=_launch_template, update=_update_launch_template, name_property="LaunchTemplateName",
        attributes=("LaunchTemplateId", "LatestVersionNumber", "DefaultVersionNumber"),
    ),
    ResourceType(
        "AWS::AutoScaling::AutoScalingGroup",
        consumes=("AutoScalingGroupName", "VPCZoneIdentifier", "MinSize", "MaxSize", "DesiredCapacity", "Cooldown",
                  "LaunchTemplate.LaunchTemplateId", "LaunchTemplate.Version", "TargetGroupARNs", "HealthCheckType",
                  "HealthCheckGracePeriod", "TerminationPolicies", "NewInstancesProtectedFromScaleIn", "Tags.*"),
        inert={"InstanceMaintenancePolicy.*": "nothing here refreshes instances: Standfast ends them"},
        create=_auto_scaling_group, update=_update_auto_scaling_group, name_property="AutoScalingGroupName",
        delete=_delete_auto_scaling_group,
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        consumes=("Name", "Type", "Scheme", "Subnets", "SecurityGroups", "IpAddressType", "Tags.*",
                  "LoadBalancerAttributes.*"),
        create=_load_balancer, update=_load_balancer_attributes, name_property="Name",
        attributes=("DNSName", "LoadBalancerArn", "LoadBalancerFullName", "LoadBalancerName", "CanonicalHostedZoneID"),
        delete=lambda context, created: context.call(
            "elbv2", "delete_load_balancer", LoadBalancerArn=created.physical_id
        ),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        consumes=("Name", "Protocol", "Port", "VpcId", "TargetType", "Tags.*", "TargetGroupAttributes.*", "Targets.Id",
                  *(name for name in _HEALTH_CHECK if name != "Matcher"), "Matcher.HttpCode"),
        create=_target_group, update=_update_target_group, name_property="Name",
        attributes=("TargetGroupArn", "TargetGroupName", "TargetGroupFullName"),
        delete=lambda context, created: context.call(
            "elbv2", "delete_target_group", TargetGroupArn=created.physical_id
        ),
    ),
    ResourceType(
        "AWS::WAFv2::WebACLAssociation",
        consumes=("ResourceArn", "WebACLArn"),
        create=_web_acl_association,
        delete=lambda context, created: context.call(
            "wafv2", "disassociate_web_acl", ResourceArn=created.physical_id.partition("|")[2]
        ),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::Listener",
        consumes=("LoadBalancerArn", "Port", "Protocol", "DefaultActions.Type", "DefaultActions.FixedResponseConfig.*",
                  "DefaultActions.TargetGroupArn", *(f"DefaultActions.{path}" for path in _FORWARD), "SslPolicy",
                  "Certificates.CertificateArn"),
        create=_listener, attributes=("ListenerArn",),
        delete=lambda context, created: context.call("elbv2", "delete_listener", ListenerArn=created.physical_id),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        consumes=("ListenerArn", "Priority", "Conditions.Field", "Conditions.PathPatternConfig.Values",
                  "Conditions.Values", "Conditions.HttpHeaderConfig.*", "Actions.Type", "Actions.TargetGroupArn",
                  "Actions.FixedResponseConfig.*", *(f"Actions.{path}" for path in _FORWARD)),
        create=_listener_rule, update=_update_listener_rule, attributes=("RuleArn",),
        delete=lambda context, created: context.call("elbv2", "delete_rule", RuleArn=created.physical_id),
    ),
)  # fmt: skip
