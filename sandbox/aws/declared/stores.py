"""DynamoDB, S3, KMS, Parameter Store and log groups: what is kept, and how it is protected."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from sandbox.aws.resources import Created, ResourceFailedError, ResourceType, lowered, pick, tag_map

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties


def _table(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "dynamodb", "create_table", TableName=context.name,
        StreamSpecification=_stream(properties), SSESpecification=_encryption(properties),
        **pick(properties, "KeySchema", "AttributeDefinitions", "BillingMode", "ProvisionedThroughput",
               "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "DeletionProtectionEnabled", "Tags"),
    )  # fmt: skip
    _protect_table(context, properties)
    described = answer["TableDescription"]
    return Created(
        context.name, {"Arn": described["TableArn"], "StreamArn": described.get("LatestStreamArn", "no stream")}
    )


def _update_table(context: Context, created: Created, properties: Properties) -> Created:
    context.call(
        "dynamodb", "update_table", TableName=created.physical_id,
        SSESpecification=_encryption(properties), **pick(properties, "BillingMode", "DeletionProtectionEnabled"),
    )  # fmt: skip
    _protect_table(context, properties)
    return created


def _global_table(context: Context, properties: Properties) -> Created:
    """As AWS makes one: an ordinary table in this Region, which then gets its replicas."""
    context.call(
        "dynamodb", "create_table", TableName=context.name, SSESpecification=_encryption(properties),
        StreamSpecification=_stream(properties),
        **pick(properties, "KeySchema", "AttributeDefinitions", "BillingMode"),
    )  # fmt: skip
    others = [replica["Region"] for replica in properties["Replicas"] if replica["Region"] != context.region]
    answer = context.call(
        "dynamodb", "update_table", TableName=context.name,
        ReplicaUpdates=[{"Create": {"RegionName": region}} for region in others],
        **pick(properties, "MultiRegionConsistency"),
    )  # fmt: skip
    _configure_replicas(context, properties)
    described = answer["TableDescription"]
    return Created(
        context.name, {"Arn": described["TableArn"], "StreamArn": described.get("LatestStreamArn", "no stream")}
    )


def _configure_replicas(context: Context, properties: Properties) -> None:
    for replica in properties["Replicas"]:
        there = dataclasses.replace(context, region=replica["Region"])
        _protect_table(there, replica)
        if "DeletionProtectionEnabled" in replica:
            chosen = pick(replica, "DeletionProtectionEnabled")
            there.call("dynamodb", "update_table", TableName=context.name, **chosen)
        if "Tags" in replica:
            arn = f"arn:aws:dynamodb:{there.region}:{there.account}:table/{context.name}"
            there.call("dynamodb", "tag_resource", ResourceArn=arn, Tags=replica["Tags"])


def _update_global_table(context: Context, created: Created, properties: Properties) -> Created:
    _configure_replicas(context, properties)
    return created


def _stream(properties: Properties) -> dict[str, Any] | None:
    stream = properties.get("StreamSpecification")
    return {"StreamEnabled": True, **stream} if stream else None


def _encryption(properties: Properties) -> dict[str, Any] | None:
    given = properties.get("SSESpecification")
    return pick(given, "KMSMasterKeyId", "SSEType", Enabled="SSEEnabled") if given else None


def _protect_table(context: Context, properties: Properties) -> None:
    if "TimeToLiveSpecification" in properties:
        context.call(
            "dynamodb", "update_time_to_live",
            TableName=context.name, TimeToLiveSpecification=properties["TimeToLiveSpecification"],
        )  # fmt: skip
    if "PointInTimeRecoverySpecification" in properties:
        context.call(
            "dynamodb", "update_continuous_backups", TableName=context.name,
            PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"],
        )  # fmt: skip


def _bucket(context: Context, properties: Properties) -> Created:
    elsewhere = {"LocationConstraint": context.region} if context.region != "us-east-1" else None
    context.call(
        "s3", "create_bucket", Bucket=context.name, CreateBucketConfiguration=elsewhere,
        ObjectLockEnabledForBucket=properties.get("ObjectLockEnabled"),
    )  # fmt: skip
    return _configure_bucket(context, Created(context.name, _bucket_attributes(context)), properties)


def _bucket_attributes(context: Context) -> dict[str, str]:
    domain = f"{context.name}.s3.amazonaws.com"
    return {"Arn": f"arn:aws:s3:::{context.name}", "DomainName": domain, "RegionalDomainName": domain}


def _configure_bucket(context: Context, created: Created, properties: Properties) -> Created:
    name = created.physical_id
    if "VersioningConfiguration" in properties:
        versioning = properties["VersioningConfiguration"]
        context.call("s3", "put_bucket_versioning", Bucket=name, VersioningConfiguration=versioning)
    if "ObjectLockConfiguration" in properties:
        lock = properties["ObjectLockConfiguration"]
        context.call("s3", "put_object_lock_configuration", Bucket=name, ObjectLockConfiguration=lock)
    if "BucketEncryption" in properties:
        rules = [
            pick(rule, "BucketKeyEnabled", ApplyServerSideEncryptionByDefault="ServerSideEncryptionByDefault")
            for rule in properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        ]
        context.call("s3", "put_bucket_encryption", Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if "PublicAccessBlockConfiguration" in properties:
        block = properties["PublicAccessBlockConfiguration"]
        context.call("s3", "put_public_access_block", Bucket=name, PublicAccessBlockConfiguration=block)
    if "LifecycleConfiguration" in properties:
        lifecycle = {"Rules": [_lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]}
        context.call("s3", "put_bucket_lifecycle_configuration", Bucket=name, LifecycleConfiguration=lifecycle)
    if "OwnershipControls" in properties:
        controls = properties["OwnershipControls"]
        context.call("s3", "put_bucket_ownership_controls", Bucket=name, OwnershipControls=controls)
    if "ReplicationConfiguration" in properties:
        given = properties["ReplicationConfiguration"]
        replication = {"Role": given["Role"], "Rules": [_replication_rule(rule) for rule in given["Rules"]]}
        context.call("s3", "put_bucket_replication", Bucket=name, ReplicationConfiguration=replication)
    if "Tags" in properties:
        context.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": properties["Tags"]})
    return created


def _update_bucket(context: Context, created: Created, properties: Properties) -> Created:
    if "ReplicationConfiguration" not in properties:
        context.call("s3", "delete_bucket_replication", Bucket=created.physical_id)
    return _configure_bucket(context, created, properties)


def _replication_rule(rule: Properties) -> dict[str, Any]:
    names = ("Status", "Priority", "Filter", "DeleteMarkerReplication", "SourceSelectionCriteria", "Destination")
    return pick(rule, *names, ID="Id")


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """CloudFormation writes some parts of a rule flat where the API nests them."""
    nested: dict[str, Any] = pick(
        rule, "Status", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload", ID="Id"
    )
    nested["Filter"] = {"Prefix": rule.get("Prefix", "")}
    expiration = pick(rule, "ExpiredObjectDeleteMarker", Days="ExpirationInDays")
    return {**nested, "Expiration": expiration} if expiration else nested


def _bucket_policy(context: Context, properties: Properties) -> Created:
    context.call("s3", "put_bucket_policy", Bucket=properties["Bucket"], Policy=properties["PolicyDocument"])
    return Created(properties["Bucket"])


def _key(context: Context, properties: Properties) -> Created:
    tags = tag_map(properties) or {}
    answer = context.call(
        "kms", "create_key", Policy=properties.get("KeyPolicy"),
        Tags=[{"TagKey": name, "TagValue": value} for name, value in tags.items()] or None,
        **pick(properties, "Description", "KeyUsage", "KeySpec", "MultiRegion"),
    )  # fmt: skip
    key = answer["KeyMetadata"]["KeyId"]
    if str(properties.get("EnableKeyRotation", False)).lower() == "true":
        context.call("kms", "enable_key_rotation", KeyId=key)
    return Created(key, {"Arn": answer["KeyMetadata"]["Arn"], "KeyId": key})


def _key_alias(context: Context, properties: Properties) -> Created:
    context.call("kms", "create_alias", **pick(properties, "AliasName", "TargetKeyId"))
    return Created(properties["AliasName"])


def _parameter(context: Context, properties: Properties, *, overwrite: bool = False) -> Created:
    tags = [{"Key": name, "Value": value} for name, value in properties.get("Tags", {}).items()]
    context.call(
        "ssm", "put_parameter", Name=context.name, Overwrite=overwrite, Tags=tags or None,
        **pick(properties, "Type", "Value", "Description", "Tier", "AllowedPattern", "DataType"),
    )  # fmt: skip
    return Created(context.name, {"Type": properties["Type"], "Value": properties["Value"]})


def _update_parameter(context: Context, _: Created, properties: Properties) -> Created:
    return _parameter(context, {**properties, "Tags": {}}, overwrite=True)


def _document(context: Context, properties: Properties) -> Created:
    content = properties["Content"]
    context.call(
        "ssm", "create_document", Name=context.name,
        Content=content if isinstance(content, str) else json.dumps(content),
        **{"DocumentFormat": "JSON", **pick(properties, "DocumentType", "DocumentFormat", "TargetType", "Tags")},
    )  # fmt: skip
    return Created(context.name)


def _update_document(context: Context, created: Created, properties: Properties) -> Created:
    """With `UpdateMethod: NewVersion` another content becomes the default version; else it wants another name."""
    if properties.get("UpdateMethod") != "NewVersion":
        raise ResourceFailedError("a document keeps its content without UpdateMethod: NewVersion")
    content = properties["Content"]
    answer = context.call(
        "ssm", "update_document", Name=created.physical_id, DocumentVersion="$LATEST",
        Content=content if isinstance(content, str) else json.dumps(content),
        **{"DocumentFormat": "JSON", **pick(properties, "DocumentFormat", "TargetType")},
    )  # fmt: skip
    version = answer["DocumentDescription"]["DocumentVersion"]
    context.call("ssm", "update_document_default_version", Name=created.physical_id, DocumentVersion=version)
    return created


def _log_group(context: Context, properties: Properties) -> Created:
    context.call(
        "logs", "create_log_group",
        logGroupName=context.name, tags=tag_map(properties), kmsKeyId=properties.get("KmsKeyId"),
    )  # fmt: skip
    _retain(context, properties)
    arn = f"arn:aws:logs:{context.region}:{context.account}:log-group:{context.name}:*"
    return Created(context.name, {"Arn": arn})


def _retain(context: Context, properties: Properties) -> None:
    if "RetentionInDays" in properties:
        context.call(
            "logs", "put_retention_policy", logGroupName=context.name, retentionInDays=properties["RetentionInDays"]
        )


def _update_log_group(context: Context, created: Created, properties: Properties) -> Created:
    _retain(context, properties)
    return created


def _metric_filter(context: Context, properties: Properties) -> Created:
    chosen = pick(properties, "LogGroupName", "FilterPattern", "MetricTransformations")
    context.call("logs", "put_metric_filter", filterName=context.name, **lowered(chosen))
    return Created(context.name)


TYPES: Final = (
    ResourceType(
        "AWS::DynamoDB::Table",
        consumes=(
            "TableName", "KeySchema.*", "AttributeDefinitions.*", "BillingMode", "ProvisionedThroughput.*",
            "GlobalSecondaryIndexes.*", "LocalSecondaryIndexes.*", "StreamSpecification.StreamViewType",
            "SSESpecification.SSEEnabled", "SSESpecification.SSEType", "SSESpecification.KMSMasterKeyId",
            "DeletionProtectionEnabled", "Tags.*", "TimeToLiveSpecification.AttributeName",
            "TimeToLiveSpecification.Enabled", "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
            "PointInTimeRecoverySpecification.RecoveryPeriodInDays",
        ),
        create=_table, update=_update_table, name_property="TableName", attributes=("Arn", "StreamArn"),
        delete=lambda context, created: context.call("dynamodb", "delete_table", TableName=created.physical_id),
    ),
    ResourceType(
        "AWS::DynamoDB::GlobalTable",
        consumes=(
            "TableName", "KeySchema.*", "AttributeDefinitions.*", "BillingMode", "MultiRegionConsistency",
            "StreamSpecification.StreamViewType",
            "SSESpecification.SSEEnabled", "SSESpecification.SSEType", "Replicas.Region", "Replicas.Tags.*",
            "Replicas.DeletionProtectionEnabled",
            "Replicas.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
            "Replicas.PointInTimeRecoverySpecification.RecoveryPeriodInDays",
        ),
        create=_global_table, update=_update_global_table, name_property="TableName",
        attributes=("Arn", "StreamArn"),
    ),
    ResourceType(
        "AWS::S3::Bucket",
        consumes=(
            "BucketName", "ObjectLockEnabled", "VersioningConfiguration.Status",
            "ObjectLockConfiguration.ObjectLockEnabled", "ObjectLockConfiguration.Rule.DefaultRetention.Mode",
            "ObjectLockConfiguration.Rule.DefaultRetention.Days",
            "BucketEncryption.ServerSideEncryptionConfiguration.*", "PublicAccessBlockConfiguration.*",
            "LifecycleConfiguration.Rules.Id", "LifecycleConfiguration.Rules.Status",
            "LifecycleConfiguration.Rules.Prefix", "LifecycleConfiguration.Rules.ExpirationInDays",
            "LifecycleConfiguration.Rules.ExpiredObjectDeleteMarker",
            "LifecycleConfiguration.Rules.NoncurrentVersionExpiration.*",
            "LifecycleConfiguration.Rules.AbortIncompleteMultipartUpload.*", "OwnershipControls.*", "Tags.*",
            "ReplicationConfiguration.Role", "ReplicationConfiguration.Rules.Id",
            "ReplicationConfiguration.Rules.Status", "ReplicationConfiguration.Rules.Priority",
            "ReplicationConfiguration.Rules.Filter.Prefix",
            "ReplicationConfiguration.Rules.DeleteMarkerReplication.Status",
            "ReplicationConfiguration.Rules.SourceSelectionCriteria.SseKmsEncryptedObjects.Status",
            "ReplicationConfiguration.Rules.Destination.Bucket",
            "ReplicationConfiguration.Rules.Destination.EncryptionConfiguration.ReplicaKmsKeyID",
        ),
        create=_bucket, update=_update_bucket, name_property="BucketName",
        attributes=("Arn", "DomainName", "RegionalDomainName"),
        delete=lambda context, created: context.call("s3", "delete_bucket", Bucket=created.physical_id),
    ),
    ResourceType("AWS::S3::BucketPolicy", consumes=("Bucket", "PolicyDocument.*"), create=_bucket_policy,
                 update=lambda context, _, properties: _bucket_policy(context, properties)),
    ResourceType(
        "AWS::KMS::Key",
        consumes=("KeyPolicy.*", "Description", "KeyUsage", "KeySpec", "MultiRegion", "EnableKeyRotation", "Tags.*"),
        inert={"PendingWindowInDays": "no key is deleted here"},
        create=_key, attributes=("Arn", "KeyId"),
    ),
    ResourceType("AWS::KMS::Alias", consumes=("AliasName", "TargetKeyId"), create=_key_alias),
    ResourceType(
        "AWS::SSM::Parameter",
        consumes=("Name", "Type", "Value", "Description", "Tier", "AllowedPattern", "DataType", "Tags.*"),
        create=_parameter, update=_update_parameter, name_property="Name", attributes=("Type", "Value"),
    ),
    ResourceType(
        "AWS::SSM::Document",
        consumes=("Name", "Content.*", "Content", "DocumentType", "DocumentFormat", "TargetType", "UpdateMethod",
                  "Tags.*"),
        create=_document, update=_update_document, name_property="Name",
    ),
    ResourceType(
        "AWS::Logs::LogGroup", consumes=("LogGroupName", "RetentionInDays", "KmsKeyId", "Tags.*"),
        inert={"DeletionProtectionEnabled": "log groups live as long as the sandbox"},
        create=_log_group, update=_update_log_group, name_property="LogGroupName", attributes=("Arn",),
        delete=lambda context, created: context.call("logs", "delete_log_group", logGroupName=created.physical_id),
    ),
    ResourceType(
        "AWS::Logs::MetricFilter",
        consumes=("FilterName", "LogGroupName", "FilterPattern", "MetricTransformations.*"),
        create=_metric_filter, name_property="FilterName",
    ),
)  # fmt: skip
