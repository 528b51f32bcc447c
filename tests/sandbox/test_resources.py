"""What a template says of a resource can be read back through the API: nothing that matters is dropped in silence.

One stack holds a resource of each type with the properties that moto's own CloudFormation would drop.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.aws.resources import ResourceFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("readback") / "template.yaml"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    real = {"AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "real", "AWS_ENDPOINT_URL": "https://aws.example.com"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in real.items():
            patch.setenv(name, value)
        with Cloud(
            latencies=Latencies.none(),
            log_directory=tmp_path_factory.mktemp("logs"),
            runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
        ) as opened:
            yield opened


@pytest.fixture(scope="module")
def outputs(cloud: Cloud) -> dict[str, str]:
    return cloud.deploy("readback", APP, {})


def test_a_table_is_encrypted_recoverable_protected_and_forgets(cloud: Cloud, outputs: dict[str, str]) -> None:
    dynamodb = cloud.client("dynamodb")
    table = dynamodb.describe_table(TableName="readback")["Table"]
    assert (table["TableArn"], table["LatestStreamArn"]) == (outputs["Table"], outputs["Stream"])
    assert table["SSEDescription"]["SSEType"] == "KMS"
    assert table["SSEDescription"]["KMSMasterKeyArn"].endswith(outputs["Key"])
    assert table["DeletionProtectionEnabled"] is True
    ttl = dynamodb.describe_time_to_live(TableName="readback")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    backups = dynamodb.describe_continuous_backups(TableName="readback")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_bucket_is_versioned_locked_encrypted_private_and_forgets(cloud: Cloud, outputs: dict[str, str]) -> None:
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket="readback")["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket="readback")["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 2, "Years": 0}
    encryption = s3.get_bucket_encryption(Bucket="readback")["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert s3.get_public_access_block(Bucket="readback")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="readback")["Rules"]
    assert (rule["ID"], rule["Expiration"]["Days"]) == ("old", 30)
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1
    assert json.loads(s3.get_bucket_policy(Bucket="readback")["Policy"])["Version"] == "2012-10-17"


def test_a_bucket_has_its_replication_rules_whole(cloud: Cloud, outputs: dict[str, str]) -> None:
    found = cloud.client("s3").get_bucket_replication(Bucket="readback-replicated")["ReplicationConfiguration"]
    assert found["Role"].rpartition("/")[2] == outputs["Role"]
    (rule,) = found["Rules"]
    assert (rule["ID"], rule["Status"], rule["Priority"], rule["Filter"]) == (
        "all",
        "Enabled",
        3,
        {"Prefix": "models/"},
    )
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::readback-replica"
    assert rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"].endswith(outputs["Key"])


def test_logs_are_kept_as_long_as_the_template_says_under_its_key(cloud: Cloud, outputs: dict[str, str]) -> None:
    (group,) = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/readback")["logGroups"]
    assert group["retentionInDays"] == 30
    assert group["kmsKeyId"].endswith(outputs["Key"])


def test_a_key_rotates_and_has_its_alias(cloud: Cloud, outputs: dict[str, str]) -> None:
    kms = cloud.client("kms")
    assert kms.get_key_rotation_status(KeyId=outputs["Key"])["KeyRotationEnabled"] is True
    assert kms.describe_key(KeyId="alias/readback")["KeyMetadata"]["KeyId"] == outputs["Key"]


def test_topics_and_queues_have_attributes_policies_and_subscriptions(cloud: Cloud, outputs: dict[str, str]) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    assert sns.get_topic_attributes(TopicArn=outputs["Topic"])["Attributes"]["KmsMasterKeyId"] == outputs["Key"]
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=outputs["Topic"])["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"sev": ["high"]}
    assert attributes["RawMessageDelivery"] == "true"
    queue = sqs.get_queue_attributes(QueueUrl=outputs["Queue"], AttributeNames=["All"])["Attributes"]
    assert (queue["MessageRetentionPeriod"], queue["VisibilityTimeout"]) == ("1209600", "7")
    assert json.loads(queue["Policy"])["Statement"][0]["Action"] == "sqs:SendMessage"


def test_a_function_has_its_concurrency_layers_and_dead_letters(cloud: Cloud, outputs: dict[str, str]) -> None:
    client = cloud.client("lambda")
    function = client.get_function(FunctionName="readback")
    assert function["Configuration"]["Timeout"] == 7
    assert function["Configuration"]["Environment"]["Variables"] == {"DAYS": "30"}
    assert len(function["Configuration"]["Layers"]) == 1
    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 2
    config = client.get_function_event_invoke_config(FunctionName="readback")
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, 60)
    assert config["DestinationConfig"]["OnFailure"]["Destination"].endswith(":readback")


def test_substitutions_are_made_in_the_definition_s_text(cloud: Cloud, outputs: dict[str, str]) -> None:
    machine = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=outputs["Machine"])
    definition = json.loads(machine["definition"])
    assert definition["States"]["Hold"]["Seconds"] == 7
    assert definition["States"]["Work"]["Resource"].endswith(":function:readback")
    assert machine["loggingConfiguration"]["level"] == "ALL"
    assert machine["tracingConfiguration"] == {"enabled": True}
    assert outputs["MachineName"] == "readback"


def test_a_role_has_the_policies_of_the_template_and_no_more(cloud: Cloud, outputs: dict[str, str]) -> None:
    iam = cloud.client("iam")
    assert iam.list_role_policies(RoleName=outputs["Role"])["PolicyNames"] == ["own"]
    (attached,) = iam.list_attached_role_policies(RoleName=outputs["Role"])["AttachedPolicies"]
    assert attached["PolicyName"] == "AmazonSSMManagedInstanceCore"


def test_rules_schedules_and_alarms_say_when_and_what(cloud: Cloud, outputs: dict[str, str]) -> None:
    assert outputs["OnBus"] == "readback|readback"
    (target,) = cloud.client("events").list_targets_by_rule(Rule="readback", EventBusName="readback")["Targets"]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3}
    assert target["DeadLetterConfig"]["Arn"].endswith(":readback")
    schedule = cloud.client("scheduler").get_schedule(Name="readback", GroupName="readback")
    assert schedule["Target"]["Input"] == '{"a": 1}'
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["readback"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1.0, "breaching")
    assert alarm["AlarmActions"] == [outputs["Topic"]]


def variant(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return path


def test_an_update_reaches_what_depends_on_a_parameter_or_a_condition(cloud: Cloud, tmp_path: Path) -> None:
    small = """
Parameters: {Days: {Type: Number, Default: 1}, Mail: {Type: String, Default: ''}}
Conditions: {HasMail: !Not [!Equals [!Ref Mail, '']]}
Resources:
  Logs: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /updated, RetentionInDays: !If [HasMail, 30, !Ref Days]}}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: updated}}
  ToMail:
    Type: AWS::SNS::Subscription
    Condition: HasMail
    Properties: {TopicArn: !Ref Topic, Protocol: email, Endpoint: !Ref Mail}
Outputs: {Topic: {Value: !Ref Topic}}
"""
    template = variant(tmp_path, small)

    def state(parameters: dict[str, str]) -> tuple[int, int]:
        topic = cloud.deploy("updated", template, parameters)["Topic"]
        (group,) = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/updated")["logGroups"]
        subscriptions = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return group["retentionInDays"], len(subscriptions)

    assert state({}) == (1, 0)
    assert state({"Days": "7"}) == (7, 0)
    assert state({"Mail": "a@example.com"}) == (30, 1)


NO_SUCH_POLICY = "AssumeRolePolicyDocument: {}, ManagedPolicyArns: ['arn:aws:iam::aws:policy/Nope']"


@pytest.mark.parametrize(
    ("resource_type", "properties", "message"),
    [
        ("AWS::Lambda::Permission", "FunctionName: nobody, Action: a, Principal: b", "It .*nobody"),
        ("AWS::IAM::Role", NO_SUCH_POLICY, "It .*Nope"),
        ("AWS::SNS::TopicPolicy", "Topics: ['x'], PolicyDocument: {}", "It .AWS::SNS::TopicPolicy"),
        ("AWS::SQS::Queue", "QueueName: !GetAtt Other.Colour", "It .*Colour"),
    ],
)
def test_a_resource_that_fails_is_named_with_its_reason(
    cloud: Cloud, tmp_path: Path, resource_type: str, properties: str, message: str
) -> None:
    it = f"{{Type: {resource_type}, Properties: {{{properties}}}}}"
    template = variant(tmp_path, f"Resources: {{Other: {{Type: AWS::SNS::Topic}}, It: {it}}}")
    with pytest.raises(ResourceFailedError, match=message):
        cloud.deploy("broken", template, {})


def test_a_failed_stack_can_be_tried_again(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(ResourceFailedError):
        cloud.deploy(
            "again", variant(tmp_path, "Resources: {It: {Type: AWS::SSM::Parameter, Properties: {Name: a}}}"), {}
        )
    fine = "Resources: {It: {Type: AWS::SSM::Parameter, Properties: {Name: again, Type: String, Value: b}}}"
    assert cloud.deploy("again", variant(tmp_path, fine), {}) == {}


def test_nothing_of_a_real_account_is_in_the_environment(cloud: Cloud) -> None:
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL"} & set(os.environ)
    assert os.environ.get("AWS_SESSION_TOKEN") != "real"
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
