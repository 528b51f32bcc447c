"""What outlives a stack or holds data is kept, encrypted and named so that two fleets can stand side by side."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from tests.template import documents
from tests.template.documents import Document, target

NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
SECRET = re.compile(r"secret|password|credential|token|api_?key|webhook", re.IGNORECASE)


def resource(logical_id: str) -> Document:
    found: Document = documents.expanded()["Resources"][logical_id]
    return found


@pytest.mark.parametrize(
    "logical_id", ["BackupBucket", "ClusterTable", "ConfigBucket", "Key", "LedgerBucket", "ModelBucket"]
)
def test_state_and_its_key_outlive_the_stack(logical_id: str) -> None:
    assert resource(logical_id)["DeletionPolicy"] == "Retain"
    assert resource(logical_id)["UpdateReplacePolicy"] == "Retain"


def test_state_can_be_put_back_to_any_second() -> None:
    assert resource("ClusterTable")["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }


def test_configurations_are_versioned_encrypted_and_reached_by_tls_only() -> None:
    properties = resource("ConfigBucket")["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert target(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "Key"
    assert encryption["BucketKeyEnabled"] is True
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "LifecycleConfiguration" not in properties  # any version may be gone back to
    (statement,) = resource("ConfigBucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_was_backed_up_stays_a_month_whoever_would_have_it_otherwise_and_then_goes() -> None:
    properties = resource("BackupBucket")["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["ObjectLockEnabled"] is True
    assert properties["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["NoncurrentVersionExpiration"]) == (30, {"NoncurrentDays": 1})
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert target(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "Key"
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (statement,) = resource("BackupBucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_backups_are_replicated_encrypted_and_what_is_deleted_here_stays_there() -> None:
    condition, replication, otherwise = resource("BackupBucket")["Properties"]["ReplicationConfiguration"]["Fn::If"]
    assert (condition, target(otherwise)) == ("ReplicatesBackups", "AWS::NoValue")
    (rule,) = replication["Rules"]
    assert rule["Filter"] == {"Prefix": ""}
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert "-backups-" in rule["Destination"]["Bucket"]["Fn::Sub"]
    (policy,) = resource("BackupReplicationRole")["Properties"]["Policies"]
    actions = {action for each in policy["PolicyDocument"]["Statement"] for action in each["Action"]}
    assert "s3:GetObjectRetention" in actions  # a replica is locked as long as its source
    assert not {action for action in actions if "Delete" in action or "Bypass" in action}


def test_a_backup_is_taken_every_hour_and_missed_after_two() -> None:
    schedules = documents.resources("AWS::Scheduler::Schedule")
    assert schedules["BackupEveryHour"]["ScheduleExpression"] == "rate(1 hour)"
    assert schedules["RestoreRehearsalEveryWeek"]["ScheduleExpression"] == "cron(0 9 ? * MON *)"
    alarm = resource("NoGoodBackupAlarm")["Properties"]
    assert (alarm["MetricName"], alarm["Period"] * alarm["EvaluationPeriods"]) == ("BackupVerified", 7200)
    assert [target(each) for each in (*alarm["AlarmActions"], *alarm["InsufficientDataActions"])] == ["Pages"] * 2
    for name in ("NoGoodBackupAlarm", "NotRehearsedAlarm"):
        metric = resource(name)["Properties"]["MetricName"]
        assert f'"{metric}"' in (documents.ROOT / "functions/backup/verify_snapshot.py").read_text()


def test_every_change_of_state_comes_with_what_was_before() -> None:
    """Without the old image a gap in the journal would not show."""
    for table in ("ClusterTable", "RegionTable", "RegionTableOfOne"):
        stream = resource(table)["Properties"]["StreamSpecification"]
        assert stream == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    for mapping in documents.resources("AWS::Lambda::EventSourceMapping").values():
        assert mapping["MaximumBatchingWindowInSeconds"] < 5  # what may be lost
        assert mapping["BisectBatchOnFunctionError"] is True
        assert target(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "Undelivered"


def test_a_journal_that_is_behind_or_silent_is_told() -> None:
    alarm = resource("StateJournalBehindAlarm")["Properties"]
    source = (documents.ROOT / "functions/backup/journal_state.py").read_text()
    assert f'"{alarm["MetricName"]}"' in source
    assert alarm["TreatMissingData"] == "missing"
    assert [target(each) for each in (*alarm["AlarmActions"], *alarm["InsufficientDataActions"])] == ["Notices"] * 2


def test_prompts_and_answers_are_encrypted_under_our_key_and_expire() -> None:
    table = resource("RequestTable")
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert target(table["Properties"]["SSESpecification"]["KMSMasterKeyId"]) == "Key"
    assert "PointInTimeRecoverySpecification" not in table["Properties"]  # it would keep them for 35 days
    assert table["DeletionPolicy"] == "Delete"


def test_the_longest_name_of_a_bucket_is_one_that_s3_takes() -> None:
    pattern = documents.source()["Parameters"]["FleetName"]["AllowedPattern"]
    assert re.fullmatch(pattern, "a" * 28)
    assert not re.fullmatch(pattern, "a" * 29)
    assert len("a" * 28 + "-config-" + "1" * 12 + "-ap-southeast-2") <= 63


def test_models_are_versioned_encrypted_and_nobodys_but_the_accounts() -> None:
    properties = resource("ModelBucket")["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert target(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "Key"
    assert encryption["BucketKeyEnabled"] is True
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_a_model_is_never_deleted_by_the_clock_but_what_was_left_behind_is() -> None:
    rules = {rule["Id"]: rule for rule in resource("ModelBucket")["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert rules["uploads-that-were-cut-off"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    expiring = [rule for rule in rules.values() if "ExpirationInDays" in rule]
    assert [rule["Prefix"] for rule in expiring] == ["executions/"]


def replication_rules() -> list[Document]:
    condition, given, otherwise = resource("ModelBucket")["Properties"]["ReplicationConfiguration"]["Fn::If"]
    assert (condition, target(otherwise)) == ("ReplicatesModels", "AWS::NoValue")
    assert target(given["Role"]) == "ModelReplicationRole"
    first, second = given["Rules"]
    assert second["Fn::If"][0] == "ReplicatesModelsTwice"
    return [first, second["Fn::If"][1]]


def test_s3_replicates_models_only_where_a_parameter_asks_for_it_and_to_the_bucket_that_a_stack_there_has() -> None:
    parameters, conditions = documents.source()["Parameters"], documents.source()["Conditions"]
    name = resource("ModelBucket")["Properties"]["BucketName"]["Fn::Sub"]
    alias = resource("KeyAlias")["Properties"]["AliasName"]["Fn::Sub"]
    for region, rule in zip(("ModelReplicaRegion", "SecondModelReplicaRegion"), replication_rules(), strict=True):
        assert parameters[region]["Default"] == ""
        assert region in str(conditions)
        assert rule["Status"] == "Enabled"
        there = name.replace("AWS::Region", region)
        assert rule["Destination"]["Bucket"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::" + there}
        key = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]["Fn::Sub"]
        assert key == "arn:${AWS::Partition}:kms:${" + region + "}:${AWS::AccountId}:" + alias
        assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}


def test_s3_replicates_objects_of_models_alone_and_no_deletion() -> None:
    """A manifest says that a model is whole, so each Region writes it when it has verified that."""
    first, second = replication_rules()
    assert first["Priority"] != second["Priority"]
    for rule in (first, second):
        assert rule["Filter"] == {"Prefix": "models/"}
        assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}


def test_the_key_is_rotated() -> None:
    assert resource("Key")["Properties"]["EnableKeyRotation"] is True


def test_the_key_opens_for_the_logs_of_every_log_group() -> None:
    """By the condition that CloudWatch Logs documents; without it no log group could be created."""
    (arns,) = [
        statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
        for statement in resource("Key")["Properties"]["KeyPolicy"]["Statement"]
        if "logs." in str(statement["Principal"])
    ]
    patterns = [arn["Fn::Sub"].partition(":log-group:")[2] for arn in arns]
    for properties in documents.resources("AWS::Logs::LogGroup").values():
        name = properties["LogGroupName"]["Fn::Sub"]
        assert any(fnmatchcase(name, pattern) for pattern in patterns), name


def test_state_is_encrypted_with_our_key() -> None:
    specification = resource("ClusterTable")["Properties"]["SSESpecification"]
    assert specification["SSEEnabled"] is True
    assert specification["SSEType"] == "KMS"
    assert target(specification["KMSMasterKeyId"]) == "Key"


def test_topics_and_queues_are_encrypted_with_our_key() -> None:
    holders = documents.resources("AWS::SNS::Topic") | documents.resources("AWS::SQS::Queue")
    assert sorted(holders) == ["Notices", "Pages", "Undelivered"]
    for name, properties in holders.items():
        assert target(properties["KmsMasterKeyId"]) == "Key", name


def test_undelivered_invocations_are_kept_as_long_as_a_queue_can() -> None:
    assert resource("Undelivered")["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize("name", [*documents.STACKS, *documents.INFRASTRUCTURE])
def test_no_secret_stands_in_a_parameter(name: str) -> None:
    parameters = documents.parse((documents.STACKS | documents.INFRASTRUCTURE)[name])
    for parameter, rules in parameters["Parameters"].items():
        if parameter.endswith("SecretArn"):  # says where a secret lies, and can hold nothing else
            assert rules["AllowedPattern"].startswith("^(arn:aws[a-z-]*:secretsmanager:")
        elif SECRET.search(parameter):
            assert rules.get("NoEcho") is True, f"{parameter} is shown to everybody who may see the stack"
            assert not rules.get("Default"), f"{parameter} has a default, in a file that everybody reads"


def test_no_secret_stands_in_the_environment_of_a_function() -> None:
    for name, function in documents.resources("AWS::Lambda::Function").items():
        assert [variable for variable in function["Environment"]["Variables"] if SECRET.search(variable)] == [], name


def test_two_fleets_can_stand_in_one_region() -> None:
    """Every name that we give, or that the translator gives for us, begins with or holds the fleet's."""
    for logical_id, found in documents.expanded()["Resources"].items():
        given = found["Properties"].get(NAMES.get(found["Type"], ""))
        assert given is None or "FleetName" in str(given), f"{logical_id} is called {given} in every fleet"
