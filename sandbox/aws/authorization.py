"""IAM as the template's roles say it: each call by a role is allowed by a policy of that role, or denied by name.

moto's own check sees the resource `*` nearly everywhere. This one reads the resource from the request. It finds
permissions that are missing; that a policy is not too wide is proven by the template's tests.

Calls by a role also wait as long as AWS would (`sandbox.aws.latency`). The sandbox's own administrator has no role: it
is neither checked nor delayed.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model
from moto.s3.exceptions import S3AccessDeniedError
from moto.sts.models import sts_backends

from sandbox.aws import auto_scaling, bucket_policies, creations, global_tables
from sandbox.aws.creations import Need
from sandbox.aws.faults import Faults
from sandbox.aws.latency import DYNAMODB, ELB_CALL, MRSC
from sandbox.aws.policies import is_allowed, role_documents
from sandbox.aws.run_command import tagged_instances
from sandbox.aws.tags import tag_conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.aws.latency import LatencyInjector

_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
# IAM's prefix where it is not the name that a request is signed for.
_PREFIXES: Final = {"monitoring": "cloudwatch", "email": "ses"}
# S3's actions that IAM calls otherwise.
_S3_ACTIONS: Final = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "GetBucketReplication": "GetReplicationConfiguration",
    **dict.fromkeys(
        ("CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"), "PutObject"
    ),
}
# A transaction needs the permissions of what it does (DynamoDB guide, IAM with transactions).
_IN_TRANSACTION: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The role session behind a request."""

    role: str
    session: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Denial:
    """One call that no policy of its role allowed."""

    role: str
    action: str
    resource: str
    at: float


def _given(name: str) -> Callable[[Any, Caller], list[str]]:
    return lambda parameters, _: [str(parameters[name])]


def _named(service: str, kind: str, name: str) -> Callable[[Any, Caller], list[str]]:
    """A parameter, or each of a list, that is an ARN or a name. Parameter Store's names may begin with a slash."""

    def arns(parameters: Any, caller: Caller) -> list[str]:
        given = parameters[name]
        return [_arn(service, kind, str(value), caller) for value in (given if isinstance(given, list) else [given])]

    return arns


def _arn(service: str, kind: str, name: str, caller: Caller) -> str:
    """An ARN as it is, and a name made one."""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:{service}:{caller.region}:{caller.account}:{kind}{name.removeprefix('/')}"


def _global(kind: str, name: str) -> Callable[[Any, Caller], list[str]]:
    """Of Route 53: in no Region and no account. An id may come with its path."""
    return lambda parameters, _: [f"arn:aws:route53:::{kind}{str(parameters[name]).rpartition('/')[2]}"]


def _table(parameters: Any, caller: Caller) -> list[str]:
    table = _arn("dynamodb", "table/", str(parameters["TableName"]), caller)
    return [f"{table}/index/{parameters['IndexName']}" if parameters.get("IndexName") else table]


def _tables(parameters: Any, caller: Caller) -> list[str]:
    return [_arn("dynamodb", "table/", name, caller) for name in parameters["RequestItems"]]


def _queue(parameters: Any, caller: Caller) -> list[str]:
    return [f"arn:aws:sqs:{caller.region}:{caller.account}:{parameters['QueueUrl'].rsplit('/', 1)[-1]}"]


def _key(parameters: Any, caller: Caller) -> list[str]:
    name = str(parameters["KeyId"])
    return [_arn("kms", "" if name.startswith("alias/") else "key/", name, caller)]


def _buses(parameters: Any, caller: Caller) -> list[str]:
    names = dict.fromkeys(str(entry.get("EventBusName") or "default") for entry in parameters["Entries"])
    return [_arn("events", "event-bus/", name, caller) for name in names]


def _commanded(parameters: Any, caller: Caller) -> list[str]:
    """Run Command needs the document and each instance that is meant, by id or by tag."""
    tagged = tagged_instances(caller.account, caller.region, parameters.get("Targets"))
    ids = [*parameters.get("InstanceIds", ()), *tagged]
    document = _arn("ssm", "document/", str(parameters["DocumentName"]), caller)
    return [document, *(_arn("ec2", "instance/", instance_id, caller) for instance_id in dict.fromkeys(ids))]


def _group_of_instance(parameters: Any, caller: Caller) -> list[str]:
    """An instance is terminated by its group. One that is in none is refused by name."""
    group = auto_scaling.group_of(caller.region, str(parameters["InstanceId"]))
    return [str(group.arn) if group else _arn("autoscaling", "autoScalingGroup:", "none", caller)]


def _group(parameters: Any, caller: Caller) -> list[str]:
    return [creations.group_arn(caller.account, caller.region, str(parameters["AutoScalingGroupName"]))]


def _quota(parameters: Any, caller: Caller) -> list[str]:
    return [_arn("servicequotas", f"{parameters['ServiceCode']}/", str(parameters["QuotaCode"]), caller)]


# Service -> (parameter that must be there, how it makes the resources), the first that fits. Where the service
# authorization reference has no resource type for an action, the resource is `*`.
_RESOURCES: Final[Mapping[str, Sequence[tuple[str, Callable[[Any, Caller], list[str]]]]]] = {
    "dynamodb": [("TableName", _table), ("RequestItems", _tables)],
    "sns": [("TopicArn", _given("TopicArn"))],
    "events": [("Entries", _buses), ("Name", _named("events", "rule/", "Name"))],
    "states": [("executionArn", _given("executionArn")), ("stateMachineArn", _given("stateMachineArn"))],
    "lambda": [("FunctionName", _named("lambda", "function:", "FunctionName"))],
    "sqs": [("QueueUrl", _queue)],
    "elasticloadbalancing": [
        ("RuleArn", _given("RuleArn")),
        ("ListenerArn", _given("ListenerArn")),
        ("TargetGroupArn", _given("TargetGroupArn")),
    ],
    "ssm": [
        ("DocumentName", _commanded),
        ("Name", _named("ssm", "parameter/", "Name")),
        ("Names", _named("ssm", "parameter/", "Names")),
        ("Path", _named("ssm", "parameter/", "Path")),
    ],
    "autoscaling": [("InstanceId", _group_of_instance), ("AutoScalingGroupName", _group)],
    "route53": [("HostedZoneId", _global("hostedzone/", "HostedZoneId")), ("Id", _global("change/", "Id"))],
    "servicequotas": [("QuotaCode", _quota)],
    "logs": [("logGroupName", _named("logs", "log-group:", "logGroupName"))],
    "kms": [("KeyId", _key)],
}
_NO_RESOURCE_TYPE: Final = re.compile(
    r"(elasticloadbalancing|ec2|autoscaling|cloudwatch):(Describe|List).*|servicequotas:GetAWSDefault.*"
)


class Authorizer:
    """Checks and delays the calls of roles, and remembers what it denied. Safe to use from several threads."""

    def __init__(self, injector: LatencyInjector, faults: Faults | None = None) -> None:
        self._injector = injector
        self._faults = faults or Faults()
        self._lock = threading.Lock()
        self._denials: list[Denial] = []
        self._callers: dict[str, tuple[str, str]] = {}

    def denials(self) -> tuple[Denial, ...]:
        """All denials so far."""
        with self._lock:
            return tuple(self._denials)

    def forgive(self, role: str) -> None:
        """Forget the denials of a role: a test provoked them."""
        with self._lock:
            self._denials = [denial for denial in self._denials if denial.role != role]

    def check(self, caller: Caller, action: str, resource: str, context: Mapping[str, str]) -> str | None:
        """None when the role may, else the sentence that AWS answers; the denial is remembered."""
        denied = action.startswith("s3:") and bucket_policies.denies(caller.account, action, resource, context)
        if not denied and is_allowed(role_documents(caller.account, caller.role), action, resource, context):
            return None
        with self._lock:
            self._denials.append(Denial(caller.role, action, resource, time.time()))
        return (
            f"User: arn:aws:sts::{caller.account}:assumed-role/{caller.role}/{caller.session} is not authorized to "
            f"perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
        )

    def authorize(self, request: Any) -> None:
        """Check and delay a request to moto. Raises the error in the shape of the service's protocol."""
        found = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        if found is None:
            return
        key, region, signed_for = found.groups()
        caller = self._caller(key, request.current_account, region)
        if caller is None:
            return
        service = _PREFIXES.get(signed_for, signed_for)
        operation = request._get_action()
        if operation in ("GetCallerIdentity", "AssumeRole"):
            return
        context = {"aws:RequestedRegion": region, "aws:SecureTransport": "true"}
        needed = _needs(request, service, operation, caller)
        for need in needed:
            known = context | tag_conditions(need.resource) | dict(need.context)
            if (said := self.check(caller, need.action, need.resource, known)) is not None:
                _refuse(request, service, need.action, said)
        first = needed[0].action
        self._faults.meet(
            caller.role,
            region,
            service,
            request,
            lambda: _refuse(request, service, first, "explicitly denied by a fault"),
        )
        if kind := _wait(service, operation, request):
            self._injector.sleep(kind, caller=caller.role, detail=operation, region=region)

    def _caller(self, key: str, account: str, region: str) -> Caller | None:
        if key not in self._callers:
            assumed = (
                role for backends in sts_backends.values() for one in backends.values() for role in one.assumed_roles
            )
            role = next((role for role in assumed if role.access_key_id == key), None)
            if role is None:
                return None
            self._callers[key] = (role.role_arn.rsplit("/", 1)[-1], role.session_name)
        name, session = self._callers[key]
        return Caller(name, session, account, region)


def install(authorizer: Authorizer) -> Callable[[], None]:
    """Have moto ask this authorizer before each call. The result takes it back."""
    original = ActionAuthenticatorMixin._authenticate_and_authorize_action

    def authorize(request: Any, _iam_request: type, _resource: str = "*") -> None:
        authorizer.authorize(request)

    ActionAuthenticatorMixin._authenticate_and_authorize_action = authorize

    def take_back() -> None:
        ActionAuthenticatorMixin._authenticate_and_authorize_action = original

    return take_back


def _wait(service: str, operation: str, request: Any) -> str | None:
    """The kind of wait that stands for AWS in such a call."""
    if service == "elasticloadbalancing":
        return ELB_CALL
    if service == "dynamodb":
        return MRSC if global_tables.needs_another_region(operation, request.body) else DYNAMODB
    return None


def _needs(request: Any, service: str, operation: str, caller: Caller) -> list[Need]:
    """Each action on each resource that the request needs, with what is true of it alone."""
    if service == "s3":
        action = _S3_ACTIONS.get(operation, operation)
        if action == "GetObject" and "versionId" in parse_qs(urlsplit(request.uri).query):
            action = "GetObjectVersion"
        needed = [Need(f"s3:{action}", _s3_resource(request))]
        if source := request.headers.get("x-amz-copy-source"):
            needed.append(Need("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/').partition('?')[0]}"))
        return needed
    action = f"{service}:{'InvokeFunction' if (service, operation) == ('lambda', 'Invoke') else operation}"
    if _NO_RESOURCE_TYPE.fullmatch(action):
        return [Need(action, "*")]
    parameters = _parameters(request, operation)
    if made := creations.needs(action, parameters, caller.account, caller.region):
        return made
    if "TransactItems" in parameters:
        return [
            Need(f"dynamodb:{_IN_TRANSACTION[kind]}", resource)
            for item in parameters["TransactItems"]
            for kind, inner in item.items()
            for resource in _table(inner, caller)
        ]
    for name, resources in _RESOURCES.get(service, ()):
        if parameters.get(name):
            return [Need(action, resource) for resource in resources(parameters, caller)]
    return [Need(action, "*")]


def _s3_resource(request: Any) -> str:
    bucket, _, key = request.path.lstrip("/").partition("/")
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _parameters(request: Any, operation: str) -> Mapping[str, Any]:
    model = get_service_model(request.boto3_service_name)
    normalized = request.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, normalized.content_type)]
    parsed = parser(model.operation_model(operation), map_type=dict).parse(
        {
            "method": normalized.method,
            "values": normalized.values,
            "headers": normalized.headers,
            "body": normalized.data,
            "url_path": normalized.path,
            "url_params": request.uri_match,
        }
    )
    return parsed or {}


def _refuse(request: Any, service: str, action: str, said: str) -> None:
    if service == "s3":
        raise S3AccessDeniedError
    if get_service_model(request.boto3_service_name).protocol in ("json", "rest-json"):
        refusal = JsonRESTError("AccessDeniedException", said)
        refusal.code = 400
        raise refusal
    denied = AccessDeniedError(user_arn="", action=action)
    denied.description = denied.description.replace(f"User:  is not authorized to perform: {action}", said)
    raise denied
