"""The IAM seam without workers: which action on which resource a request needs, and how a refusal looks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.authorization import ActionAuthenticatorMixin

from sandbox.aws import authorization
from sandbox.aws.latency import DYNAMODB, ELB_CALL, Latencies, LatencyInjector
from sandbox.aws.roles import RoleClients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.aws.authorization import Denial

REGION = "us-east-1"
PLACE = f"{REGION}:123456789012"
ROLE = "a-role"
KEY = {"pk": {"S": "x"}}


@dataclass
class House:
    """IAM with one role, and clients that act as it."""

    iam: Any
    authorizer: authorization.Authorizer
    injector: LatencyInjector
    clients: RoleClients
    role: str

    def allow(self, action: str | list[str], resource: str = "*") -> None:
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": resource}}
        self.iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=json.dumps(document))

    def call(self, service: str, operation: str, **parameters: Any) -> str:
        """Call as the role; the code of the error, or empty."""
        try:
            getattr(self.clients.client(REGION, service, self.role), operation)(**parameters)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    def denials(self) -> tuple[Denial, ...]:
        found = self.authorizer.denials()
        self.authorizer.forgive(ROLE)
        return found


@pytest.fixture(scope="module")
def built() -> Iterator[House]:
    session: Any = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    injector = LatencyInjector(Latencies(elb_call=0.002, dynamodb=0.001))
    authorizer = authorization.Authorizer(injector)
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        iam = session.client("iam")
        role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        session.client("dynamodb").create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        take_back = authorization.install(authorizer)
        yield House(iam, authorizer, injector, RoleClients("a-test"), role)
        take_back()


@pytest.fixture
def house(built: House) -> House:
    """With no permission, no denial and no wait on record."""
    for name in built.iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        built.iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
    built.authorizer.forgive(ROLE)
    built.injector.clear()
    return built


TABLE = f"arn:aws:dynamodb:{PLACE}:table/t"
RULE = f"arn:aws:elasticloadbalancing:{PLACE}:listener-rule/app/entry/1/2/3"
GROUP = f"arn:aws:elasticloadbalancing:{PLACE}:targetgroup/g/1"
MACHINE = f"arn:aws:states:{PLACE}:stateMachine:m"
EXECUTION = f"arn:aws:states:{PLACE}:execution:m:x"
TOPIC = f"arn:aws:sns:{PLACE}:pages"
FUNCTION = f"arn:aws:lambda:{PLACE}:function:f"
QUERY = {"TableName": "t", "KeyConditionExpression": "pk = :x", "ExpressionAttributeValues": {":x": {"S": "x"}}}
PUT = {"Put": {"TableName": "t", "Item": KEY}}
MESSAGE = {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/q", "MessageBody": "m"}
BUSES = f"arn:aws:events:{PLACE}:event-bus"
ONE_GROUP = {"TargetGroupArn": GROUP}
TARGETS = {**ONE_GROUP, "Targets": [{"Id": "i"}]}
UPLOAD = {"Bucket": "b", "Key": "k", "UploadId": "u"}
QUOTA = {"ServiceCode": "ec2", "QuotaCode": "L-1"}
ENTRY = {"Source": "s", "DetailType": "d", "Detail": "{}"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "resource"),
    [
        ("dynamodb", "get_item", {"TableName": "t", "Key": KEY}, "dynamodb:GetItem", TABLE),
        ("dynamodb", "put_item", {"TableName": "t", "Item": KEY}, "dynamodb:PutItem", TABLE),
        ("dynamodb", "query", QUERY, "dynamodb:Query", TABLE),
        ("dynamodb", "query", {**QUERY, "IndexName": "i"}, "dynamodb:Query", TABLE + "/index/i"),
        ("dynamodb", "batch_get_item", {"RequestItems": {"t": {"Keys": [KEY]}}}, "dynamodb:BatchGetItem", TABLE),
        ("dynamodb", "transact_write_items", {"TransactItems": [PUT]}, "dynamodb:PutItem", TABLE),
        ("sns", "publish", {"TopicArn": TOPIC, "Message": "m"}, "sns:Publish", TOPIC),
        ("events", "put_events", {"Entries": [{**ENTRY, "EventBusName": "b"}]}, "events:PutEvents", BUSES + "/b"),
        ("events", "put_events", {"Entries": [ENTRY]}, "events:PutEvents", BUSES + "/default"),
        ("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}, "states:StartExecution", MACHINE),
        ("stepfunctions", "describe_execution", {"executionArn": EXECUTION}, "states:DescribeExecution", EXECUTION),
        ("elbv2", "modify_rule", {"RuleArn": RULE, "Conditions": []}, "elasticloadbalancing:ModifyRule", RULE),
        ("elbv2", "describe_rules", {"RuleArns": [RULE]}, "elasticloadbalancing:DescribeRules", "*"),
        ("elbv2", "describe_target_health", ONE_GROUP, "elasticloadbalancing:DescribeTargetHealth", "*"),
        ("elbv2", "register_targets", TARGETS, "elasticloadbalancing:RegisterTargets", GROUP),
        ("ec2", "describe_instances", {}, "ec2:DescribeInstances", "*"),
        ("sqs", "send_message", MESSAGE, "sqs:SendMessage", f"arn:aws:sqs:{PLACE}:q"),
        ("lambda", "invoke", {"FunctionName": "f"}, "lambda:InvokeFunction", FUNCTION),
        ("lambda", "invoke", {"FunctionName": FUNCTION}, "lambda:InvokeFunction", FUNCTION),
        ("ssm", "get_parameter", {"Name": "/a/b"}, "ssm:GetParameter", f"arn:aws:ssm:{PLACE}:parameter/a/b"),
        ("ssm", "get_parameters", {"Names": ["/a/b"]}, "ssm:GetParameters", f"arn:aws:ssm:{PLACE}:parameter/a/b"),
        ("logs", "delete_log_group", {"logGroupName": "g"}, "logs:DeleteLogGroup", f"arn:aws:logs:{PLACE}:log-group:g"),
        ("s3", "get_object", {"Bucket": "b", "Key": "k/l"}, "s3:GetObject", "arn:aws:s3:::b/k/l"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, "s3:ListBucket", "arn:aws:s3:::b"),
        ("s3", "list_multipart_uploads", {"Bucket": "b"}, "s3:ListBucketMultipartUploads", "arn:aws:s3:::b"),
        ("s3", "list_parts", UPLOAD, "s3:ListMultipartUploadParts", "arn:aws:s3:::b/k"),
        ("s3", "abort_multipart_upload", UPLOAD, "s3:AbortMultipartUpload", "arn:aws:s3:::b/k"),
        ("s3", "complete_multipart_upload", UPLOAD, "s3:PutObject", "arn:aws:s3:::b/k"),
        ("s3", "create_multipart_upload", {"Bucket": "b", "Key": "k"}, "s3:PutObject", "arn:aws:s3:::b/k"),
        ("kms", "generate_data_key", {"KeyId": "alias/k"}, "kms:GenerateDataKey", f"arn:aws:kms:{PLACE}:alias/k"),
        ("service-quotas", "get_service_quota", QUOTA, "servicequotas:GetServiceQuota",
         f"arn:aws:servicequotas:{PLACE}:ec2/L-1"),
    ],
)  # fmt: skip
def test_a_request_needs_its_action_on_its_resource(
    house: House, service: str, operation: str, parameters: dict[str, Any], action: str, resource: str
) -> None:
    assert house.call(service, operation, **parameters) in ("AccessDenied", "AccessDeniedException")
    assert [(denial.role, denial.action, denial.resource) for denial in house.denials()] == [(ROLE, action, resource)]
    house.allow(action, resource)
    assert house.call(service, operation, **parameters) not in ("AccessDenied", "AccessDeniedException")
    assert house.denials() == ()


def test_events_need_permission_for_each_bus(house: House) -> None:
    house.allow("events:PutEvents", BUSES + "/default")
    house.call("events", "put_events", Entries=[ENTRY, {**ENTRY, "EventBusName": "other"}])
    assert [denial.resource for denial in house.denials()] == [BUSES + "/other"]


@pytest.mark.parametrize(
    ("operation", "more"), [("copy_object", {}), ("upload_part_copy", {"UploadId": "u", "PartNumber": 1})]
)
def test_a_copy_needs_to_write_there_and_to_read_what_it_copies(
    house: House, operation: str, more: dict[str, Any]
) -> None:
    copy = {"Bucket": "b", "Key": "k", "CopySource": {"Bucket": "other", "Key": "a b/é"}, **more}
    house.allow("s3:PutObject", "arn:aws:s3:::b/k")
    assert house.call("s3", operation, **copy) == "AccessDenied"
    assert [(denial.action, denial.resource) for denial in house.denials()] == [
        ("s3:GetObject", "arn:aws:s3:::other/a b/é")
    ]
    house.allow(["s3:PutObject", "s3:GetObject"], "*")
    assert house.call("s3", operation, **copy) != "AccessDenied"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("dynamodb", "get_item", {"TableName": "t", "Key": KEY}, "AccessDeniedException"),
        ("stepfunctions", "describe_execution", {"executionArn": EXECUTION}, "AccessDeniedException"),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException"),
        ("elbv2", "describe_rules", {}, "AccessDenied"),
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "AccessDenied"),
    ],
)
def test_a_refusal_has_the_shape_of_its_service_s_protocol(
    house: House, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    assert house.call(service, operation, **parameters) == code
    house.denials()


def test_a_refusal_says_who_may_not_do_what(house: House) -> None:
    with pytest.raises(ClientError) as refused:
        house.clients.client(REGION, "sns", house.role).publish(TopicArn=TOPIC, Message="m")
    assert refused.value.response["Error"]["Message"].startswith(
        f"User: arn:aws:sts::123456789012:assumed-role/{ROLE}/a-test is not authorized to perform: sns:Publish "
        f"on resource: {TOPIC}"
    )
    house.denials()


def test_a_permission_that_is_taken_away_is_gone_at_once(house: House) -> None:
    house.allow("dynamodb:GetItem")
    assert house.call("dynamodb", "get_item", TableName="t", Key=KEY) == ""
    house.allow("dynamodb:PutItem")
    assert house.call("dynamodb", "get_item", TableName="t", Key=KEY) == "AccessDeniedException"
    house.denials()


def test_a_policy_of_aws_s_own_counts_when_it_is_attached(house: House) -> None:
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    house.call("logs", "create_log_group", logGroupName="g")
    assert len(house.denials()) == 1
    house.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)
    assert house.call("logs", "create_log_group", logGroupName="g") == ""
    house.iam.detach_role_policy(RoleName=ROLE, PolicyArn=arn)


def test_a_role_that_does_not_exist_is_denied(house: House) -> None:
    client = house.clients.client(REGION, "dynamodb", house.role + "-gone")
    with pytest.raises(ClientError, match="not authorized"):
        client.get_item(TableName="t", Key=KEY)
    house.authorizer.forgive(ROLE + "-gone")


def test_a_role_s_calls_wait_and_a_refused_one_does_not(house: House) -> None:
    house.call("dynamodb", "get_item", TableName="t", Key=KEY)
    assert house.injector.injections() == ()
    house.allow(["dynamodb:GetItem", "elasticloadbalancing:DescribeRules", "ec2:DescribeInstances"])
    house.call("dynamodb", "get_item", TableName="t", Key=KEY)
    house.call("elbv2", "describe_rules")
    house.call("ec2", "describe_instances")
    waits = [(wait.kind, wait.caller, wait.detail) for wait in house.injector.injections()]
    assert waits == [(DYNAMODB, ROLE, "GetItem"), (ELB_CALL, ROLE, "DescribeRules")]
    house.denials()


def test_taken_back_moto_asks_itself_again() -> None:
    before = ActionAuthenticatorMixin._authenticate_and_authorize_action
    take_back = authorization.install(authorization.Authorizer(LatencyInjector(Latencies.none())))
    assert ActionAuthenticatorMixin._authenticate_and_authorize_action is not before
    take_back()
    assert ActionAuthenticatorMixin._authenticate_and_authorize_action is before
