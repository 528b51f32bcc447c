"""ReplicaTargets on Elastic Load Balancing: one target at a time, of target groups of instances or addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from standfast.aws.calls import config, error_code, translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import TargetDescriptionTypeDef


class TargetsByReplica:
    """A replica id is `<target id>:<port>`, as the inventory has it."""

    def __init__(self, elb: ElasticLoadBalancingv2Client | None = None) -> None:
        self._elb = elb or boto3.client("elbv2", config=config(attempts=3))

    def states(self, target_group_arn: str) -> Mapping[str, str]:
        with translated("DescribeTargetHealth"):
            answer = self._elb.describe_target_health(TargetGroupArn=target_group_arn)
        return {
            f"{each['Target']['Id']}:{each['Target'].get('Port', '')}": str(each["TargetHealth"].get("State", ""))
            for each in answer["TargetHealthDescriptions"]
        }

    def take_out(self, target_group_arn: str, replica_id: str) -> None:
        with translated("DeregisterTargets"):
            try:
                self._elb.deregister_targets(TargetGroupArn=target_group_arn, Targets=[_target(replica_id)])
            except ClientError as error:
                if error_code(error) != "InvalidTarget":  # what is no target any more is out
                    raise

    def bring_back(self, target_group_arn: str, replica_id: str) -> None:
        with translated("RegisterTargets"):
            self._elb.register_targets(TargetGroupArn=target_group_arn, Targets=[_target(replica_id)])


def _target(replica_id: str) -> TargetDescriptionTypeDef:
    name, _, port = replica_id.rpartition(":")
    return {"Id": name, "Port": int(port)}
