"""Lambda, Step Functions and IAM: what runs, and as whom."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any, Final

import yaml
from moto.awslambda.models import lambda_backends

from sandbox.aws import function_urls
from sandbox.aws.resources import Created, NotUpdatableError, ResourceType, lowered, pick, tag_map

if TYPE_CHECKING:
    from sandbox.aws.resources import Context, Properties

_CONFIGURATION: Final = (
    "Description", "Handler", "Layers", "MemorySize", "Role", "Runtime", "Timeout", "VpcConfig", "Environment",
)  # fmt: skip


def _function(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "lambda", "create_function",
        FunctionName=context.name, Code=_code(properties), Tags=tag_map(properties),
        **pick(properties, *_CONFIGURATION, "Architectures", "EphemeralStorage", KMSKeyArn="KmsKeyArn"),
    )  # fmt: skip
    _beside_the_configuration(context, properties)
    return Created(context.name, {"Arn": answer["FunctionArn"]})


def _update_function(context: Context, created: Created, properties: Properties) -> Created:
    name = created.physical_id
    context.call("lambda", "update_function_code", FunctionName=name, **_code(properties))
    context.call("lambda", "update_function_configuration", FunctionName=name, **pick(properties, *_CONFIGURATION))
    _beside_the_configuration(context, properties)
    return created


def _code(properties: Properties) -> Properties:
    """Where the code is. Code in the template itself becomes index.py in a zip: Lambda guide, `ZipFile`."""
    code: Properties = properties["Code"]
    if "ZipFile" not in code:
        return code
    if not str(properties["Runtime"]).startswith("python"):
        raise NotUpdatableError(f"the sandbox runs Python only, not {properties['Runtime']}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code["ZipFile"])
    return {"ZipFile": buffer.getvalue()}


def _beside_the_configuration(context: Context, properties: Properties) -> None:
    if "ReservedConcurrentExecutions" in properties:
        context.call(
            "lambda", "put_function_concurrency",
            FunctionName=context.name, ReservedConcurrentExecutions=properties["ReservedConcurrentExecutions"],
        )  # fmt: skip
    function = lambda_backends[context.account][context.region].get_function(context.name)
    # moto has no place for it; the invoker of asynchronous events reads it here: {"TargetArn": ...} or None.
    function.dead_letter_config = properties.get("DeadLetterConfig")


def _layer_version(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "lambda", "publish_layer_version",
        LayerName=properties.get("LayerName", context.name),
        **pick(properties, "Content", "Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo"),
    )  # fmt: skip
    return Created(answer["LayerVersionArn"], {"LayerVersionArn": answer["LayerVersionArn"]})


def _event_invoke_config(context: Context, properties: Properties) -> Created:
    if properties.get("Qualifier", "$LATEST") != "$LATEST":
        raise NotUpdatableError("the sandbox has no versions or aliases: Qualifier must be $LATEST")
    context.call(
        "lambda", "put_function_event_invoke_config",
        **pick(properties, "FunctionName", "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"),
    )  # fmt: skip
    return Created(f"{context.logical_id}|{properties['FunctionName']}")


def _event_source_mapping(context: Context, properties: Properties) -> Created:
    answer = context.call("lambda", "create_event_source_mapping", **properties)
    return Created(answer["UUID"], {"Id": answer["UUID"], "EventSourceMappingArn": answer["EventSourceMappingArn"]})


def _update_event_source_mapping(context: Context, created: Created, properties: Properties) -> Created:
    fixed = {"EventSourceArn", "StartingPosition"}
    changed = {name: value for name, value in properties.items() if name not in fixed}
    context.call("lambda", "update_event_source_mapping", UUID=created.physical_id, **changed)
    return created


def _permission(context: Context, properties: Properties) -> Created:
    context.call(
        "lambda", "add_permission", StatementId=context.logical_id,
        **pick(properties, "FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "FunctionUrlAuthType",
               "InvokedViaFunctionUrl"),
    )  # fmt: skip
    return Created(context.logical_id)


def _url(context: Context, properties: Properties) -> Created:
    context.call(
        "lambda", "create_function_url_config", FunctionName=properties["TargetFunctionArn"],
        **pick(properties, "AuthType"),
    )  # fmt: skip
    function = lambda_backends[context.account][context.region].get_function(properties["TargetFunctionArn"])
    function.url_config.url = function_urls.open_url(function)  # where it can be reached here
    return Created(context.logical_id, {"FunctionUrl": function.url_config.url, "FunctionArn": function.function_arn})


def _definition(context: Context, properties: Properties) -> str:
    """The definition as JSON, `${Name}` replaced in its *text*, as DefinitionSubstitutions does on AWS.

    So an unquoted `${Name}` in a YAML file may stand for a number. Raises ValueError for one that is left over.
    """
    substitutions: dict[str, Any] = properties.get("DefinitionSubstitutions", {})

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in substitutions:
            raise ValueError(f"the definition wants ${{{match[1]}}}, which DefinitionSubstitutions lacks")
        return str(substitutions[match[1]])

    if "DefinitionS3Location" in properties:
        place = properties["DefinitionS3Location"]
        body = context.call("s3", "get_object", Bucket=place["Bucket"], Key=place["Key"])["Body"]
        text: str = body.read().decode()
    else:
        text = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    return json.dumps(yaml.safe_load(re.sub(r"\$\{(\w+)\}", replaced, text)))  # JSON is YAML, too


def _machine_settings(context: Context, properties: Properties) -> dict[str, Any]:
    return {
        "definition": _definition(context, properties),
        "roleArn": properties["RoleArn"],
        "loggingConfiguration": lowered(properties.get("LoggingConfiguration")),
        "tracingConfiguration": lowered(properties.get("TracingConfiguration")),
    }


def _state_machine(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "stepfunctions", "create_state_machine", name=context.name, **_machine_settings(context, properties),
        type=properties.get("StateMachineType", "STANDARD"), tags=lowered(properties.get("Tags")),
    )  # fmt: skip
    arn = answer["stateMachineArn"]
    return Created(arn, {"Arn": arn, "Name": context.name})


def _update_state_machine(context: Context, created: Created, properties: Properties) -> Created:
    context.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=created.physical_id,
        **_machine_settings(context, properties),
    )
    return created


def _role(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "iam", "create_role", RoleName=context.name,
        **pick(properties, "AssumeRolePolicyDocument", "Path", "Description", "MaxSessionDuration",
               "PermissionsBoundary", "Tags"),
    )  # fmt: skip
    _attach(context, properties)
    return Created(context.name, {"Arn": answer["Role"]["Arn"], "RoleId": answer["Role"]["RoleId"]})


def _update_role(context: Context, created: Created, properties: Properties) -> Created:
    role = created.physical_id
    for policy in context.call("iam", "list_role_policies", RoleName=role)["PolicyNames"]:
        context.call("iam", "delete_role_policy", RoleName=role, PolicyName=policy)
    for attached in context.call("iam", "list_attached_role_policies", RoleName=role)["AttachedPolicies"]:
        context.call("iam", "detach_role_policy", RoleName=role, PolicyArn=attached["PolicyArn"])
    _attach(context, properties)
    return created


def _attach(context: Context, properties: Properties) -> None:
    for policy in properties.get("Policies", []):
        context.call("iam", "put_role_policy", RoleName=context.name, **_dated(policy))
    for arn in properties.get("ManagedPolicyArns", []):
        context.call("iam", "attach_role_policy", RoleName=context.name, PolicyArn=arn)


def _dated(policy: Properties) -> Properties:
    """AWS takes a document without Version, and SAM writes such ones for event destinations; moto refuses them."""
    return {**policy, "PolicyDocument": {"Version": "2012-10-17", **policy["PolicyDocument"]}}


def _policy(context: Context, properties: Properties) -> Created:
    for role in properties["Roles"]:
        context.call("iam", "put_role_policy", RoleName=role, **pick(properties, "PolicyName", "PolicyDocument"))
    return Created(properties["PolicyName"])


def _update_policy(context: Context, _: Created, properties: Properties) -> Created:
    return _policy(context, properties)


def _managed_policy(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "iam", "create_policy", PolicyName=context.name, **pick(properties, "PolicyDocument", "Description", "Path")
    )
    arn = answer["Policy"]["Arn"]
    for role in properties.get("Roles", []):
        context.call("iam", "attach_role_policy", RoleName=role, PolicyArn=arn)
    return Created(arn, {"PolicyArn": arn})


def _instance_profile(context: Context, properties: Properties) -> Created:
    answer = context.call(
        "iam", "create_instance_profile", InstanceProfileName=context.name, **pick(properties, "Path")
    )
    for role in properties["Roles"]:
        context.call("iam", "add_role_to_instance_profile", InstanceProfileName=context.name, RoleName=role)
    return Created(context.name, {"Arn": answer["InstanceProfile"]["Arn"]})


_NO_XRAY: Final = "there is no X-Ray here"

TYPES: Final = (
    ResourceType(
        "AWS::Lambda::Function",
        consumes=(
            *(name for name in _CONFIGURATION if name not in {"VpcConfig", "Environment"}),
            "FunctionName", "Code.S3Bucket", "Code.S3Key", "Code.ZipFile",
            "VpcConfig.SubnetIds", "VpcConfig.SecurityGroupIds", "VpcConfig.Ipv6AllowedForDualStack",
            "Environment.Variables.*", "ReservedConcurrentExecutions", "DeadLetterConfig.TargetArn",
            "EphemeralStorage.Size", "KmsKeyArn", "Tags.*",
        ),
        inert={
            "Architectures": "a worker runs on this machine's processor; it is stored and described",
            "TracingConfig.*": _NO_XRAY,
            "LoggingConfig.*": "a worker's output goes to the sandbox's log folder as it is written",
            "PackageType": "only Zip is staged",
            "RecursiveLoop": "loops are not detected here",
        },
        create=_function, update=_update_function, name_property="FunctionName", attributes=("Arn",),
        delete=lambda context, created: context.call("lambda", "delete_function", FunctionName=created.physical_id),
    ),
    ResourceType(
        "AWS::Lambda::LayerVersion",
        consumes=("LayerName", "Content.S3Bucket", "Content.S3Key", "Description", "CompatibleRuntimes",
                  "CompatibleArchitectures", "LicenseInfo"),
        create=_layer_version, attributes=("LayerVersionArn",),
    ),
    ResourceType(
        "AWS::Lambda::EventInvokeConfig",
        consumes=("FunctionName", "Qualifier", "MaximumRetryAttempts", "MaximumEventAgeInSeconds",
                  "DestinationConfig.OnFailure.Destination", "DestinationConfig.OnSuccess.Destination"),
        create=_event_invoke_config,
        update=lambda context, _, properties: _event_invoke_config(context, properties),
    ),
    ResourceType(
        "AWS::Lambda::EventSourceMapping",
        consumes=("EventSourceArn", "FunctionName", "StartingPosition", "BatchSize", "Enabled",
                  "MaximumBatchingWindowInSeconds", "BisectBatchOnFunctionError", "MaximumRetryAttempts",
                  "MaximumRecordAgeInSeconds", "DestinationConfig.OnFailure.Destination"),
        create=_event_source_mapping, update=_update_event_source_mapping,
        attributes=("Id", "EventSourceMappingArn"),
        delete=lambda context, created: context.call(
            "lambda", "delete_event_source_mapping", UUID=created.physical_id
        ),
    ),
    ResourceType(
        "AWS::Lambda::Permission",
        consumes=("FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "FunctionUrlAuthType",
                  "InvokedViaFunctionUrl"),
        create=_permission,
    ),
    ResourceType(
        "AWS::Lambda::Url", consumes=("TargetFunctionArn", "AuthType"), create=_url,
        attributes=("FunctionUrl", "FunctionArn"),
    ),
    ResourceType(
        "AWS::StepFunctions::StateMachine",
        consumes=("StateMachineName", "StateMachineType", "Definition.*", "DefinitionString",
                  "DefinitionS3Location.Bucket", "DefinitionS3Location.Key",
                  "DefinitionSubstitutions.*", "RoleArn", "Tags.*"),
        inert={
            "LoggingConfiguration.*": "stored and described; the execution history is the log here",
            "TracingConfiguration.*": _NO_XRAY,
        },
        create=_state_machine, update=_update_state_machine, name_property="StateMachineName",
        attributes=("Arn", "Name"),
        delete=lambda context, created: context.call(
            "stepfunctions", "delete_state_machine", stateMachineArn=created.physical_id
        ),
    ),
    ResourceType(
        "AWS::IAM::Role",
        consumes=("RoleName", "AssumeRolePolicyDocument.*", "Policies.PolicyName", "Policies.PolicyDocument.*",
                  "ManagedPolicyArns", "Path", "Description", "MaxSessionDuration", "Tags.*"),
        create=_role, update=_update_role, name_property="RoleName", attributes=("Arn", "RoleId"),
    ),
    ResourceType(
        "AWS::IAM::Policy", consumes=("PolicyName", "PolicyDocument.*", "Roles"),
        create=_policy, update=_update_policy,
    ),
    ResourceType(
        "AWS::IAM::ManagedPolicy",
        consumes=("ManagedPolicyName", "PolicyDocument.*", "Description", "Path", "Roles"),
        create=_managed_policy, name_property="ManagedPolicyName", attributes=("PolicyArn",),
    ),
    ResourceType(
        "AWS::IAM::InstanceProfile", consumes=("InstanceProfileName", "Path", "Roles"),
        create=_instance_profile, name_property="InstanceProfileName", attributes=("Arn",),
    ),
)  # fmt: skip
