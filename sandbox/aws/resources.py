"""CloudFormation resource types for moto, each declared as the API calls that make it.

moto's own CloudFormation skips types that it does not know and drops properties that it does not read, and cannot say
which. Here a type is a `ResourceType`: the property paths that it consumes, those that mean nothing here (with the
reason), and what it calls. `install()` puts the types before moto's own. They call the same APIs as everybody else, so
a property that was applied can be read back.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.core.common_models import CloudFormationModel

from sandbox.aws.sessions import new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Properties = dict[str, Any]  # as the template gives them, intrinsic functions resolved
_LONGEST_NAME: Final = 64  # of a role, a function, a rule; CloudFormation trims the names that it makes up, too
_models: Final[list[Any]] = []  # Python keeps only weak references to subclasses


class ResourceFailedError(RuntimeError):
    """A resource could not be created, updated or deleted. The message names it and says why."""


class NotUpdatableError(RuntimeError):
    """The sandbox cannot change a resource of this type in place."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a resource is made. `name`: the physical name, from the template or made up as CloudFormation does."""

    region: str
    account: str
    logical_id: str
    name: str

    def client(self, service: str) -> Any:
        """An API client of CloudFormation's in the resource's Region."""
        return _client(service, self.region)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Calls an API with the parameters that are not None, cast to the types that it wants.

        CloudFormation takes "5" for 5 and "true" for true; a policy document may be an object. Raises
        ResourceFailedError for a field that the API does not have, ClientError for what it refuses.
        """
        client = self.client(service)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        given = {name: value for name, value in parameters.items() if value is not None}
        answer: dict[str, Any] = getattr(client, operation)(**cast_to_shape(given, model.input_shape))
        return answer


@dataclass(frozen=True, slots=True)
class Created:
    """What exists: `physical_id` is what Ref gives, `attributes` what GetAtt gives."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One CloudFormation type.

    `consumes`: property paths, joined by dots, lists left out; a path that ends in `.*` takes everything below it.
    `inert`: path to the reason why it changes nothing in the sandbox. `attributes`: what GetAtt may ask for, by the
    same patterns.
    """

    name: str
    consumes: tuple[str, ...]
    create: Callable[[Context, Properties], Created]
    inert: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    name_property: str = ""
    update: Callable[[Context, Created, Properties], Created] | None = None
    delete: Callable[[Context, Created], object] | None = None


def covers(known: str, path: str) -> bool:
    """Whether a declared path takes this one: itself, or all below `Parent.*`."""
    if known.endswith(".*"):
        return path == known[:-2] or path.startswith(known[:-1])
    return path == known


def cast_to_shape(value: Any, shape: Any, path: str = "") -> Any:
    """The value with the types of a botocore shape. Raises ResourceFailedError for an unknown member."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        unknown = sorted(set(value) - set(shape.members))
        if unknown:
            raise ResourceFailedError(f"the API {shape.name} has no {', '.join(f'{path}{name}' for name in unknown)}")
        return {name: cast_to_shape(each, shape.members[name], f"{path}{name}.") for name, each in value.items()}
    if kind == "list" and isinstance(value, list):
        return [cast_to_shape(each, shape.member, path) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {str(name): cast_to_shape(each, shape.value, f"{path}{name}.") for name, each in value.items()}
    return _scalar(value, kind)


def _scalar(value: Any, kind: str) -> Any:
    match kind:
        case "integer" | "long":
            return int(value)
        case "double" | "float":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "string" if isinstance(value, bool):
            return str(value).lower()
        case "string" if isinstance(value, dict | list):
            return json.dumps(value, default=str)
        case "string":
            return str(value)
        case _:
            return value


def pick(properties: Properties, *names: str, **renamed: str) -> dict[str, Any]:
    """The named properties that are there; `api_name="TemplateName"` renames one."""
    found = {name: properties[name] for name in names if name in properties}
    found.update({api: properties[name] for api, name in renamed.items() if name in properties})
    return found


def tag_map(properties: Properties) -> dict[str, str] | None:
    """`Tags` as name to value; None without tags."""
    tags = properties.get("Tags")
    return {tag["Key"]: str(tag["Value"]) for tag in tags} if tags else None


def lowered(value: Any) -> Any:
    """The value with the first letter of every key in lower case: some APIs spell what CloudFormation capitalises."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: lowered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [lowered(each) for each in value]
    return value


def install(types: Iterable[ResourceType]) -> None:
    """Puts the types before moto's own and mends how moto resolves intrinsic functions. May be called again."""
    known = {model.declared.name for model in _models}
    for declared in types:
        if declared.name not in known:
            _model(declared)
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    if not hasattr(parsing.clean_json, "mended"):
        parsing.clean_json = _without_absent_values(parsing.clean_json)
        parsing.parse_and_create_resource = _naming_what_failed(parsing.parse_and_create_resource)
        parsing.parse_and_update_resource = _naming_what_failed(_heeding_conditions(parsing.parse_and_update_resource))


@functools.cache
def _session() -> Any:
    return new_session(aws_access_key_id="cloudformation", aws_secret_access_key="not-a-secret")  # noqa: S106


@functools.cache
def _client(service: str, region: str) -> Any:
    return _session().client(service, region_name=region)


class _Behaviour:
    """What moto's CloudFormation asks of a resource, answered from its declaration."""

    declared: ResourceType

    def __init__(self, context: Context, properties: Properties, created: Created) -> None:
        self.context = context
        self.properties = properties
        self.created = created
        self.physical_resource_id = created.physical_id
        self.type = self.declared.name

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.declared.name

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.declared.name_property

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return any(covers(each, attr) for each in cls.declared.attributes)

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **named: Any
    ) -> _Behaviour:
        properties = cloudformation_json.get("Properties", {})
        name = str(properties.get(cls.declared.name_property) or _trimmed(resource_name))
        context = Context(region_name, account_id, named.get("LogicalId", ""), name)
        return cls(context, properties, cls.declared.create(context, properties))

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: _Behaviour, cloudformation_json: Any, **_named: Any
    ) -> _Behaviour:
        properties = cloudformation_json.get("Properties", {})
        if properties == original_resource.properties:
            return original_resource
        if cls.declared.update is None:
            raise NotUpdatableError(f"the sandbox cannot update a {cls.declared.name} in place")
        context = original_resource.context
        return cls(context, properties, cls.declared.update(context, original_resource.created, properties))

    def get_cfn_attribute(self, attribute_name: str) -> str:
        if attribute_name not in self.created.attributes:
            raise UnformattedGetAttTemplateException
        return str(self.created.attributes[attribute_name])

    def is_created(self) -> bool:
        return True

    def delete(self, _account_id: str, _region_name: str) -> None:
        if self.declared.delete is not None:
            self.declared.delete(self.context, self.created)


def _model(declared: ResourceType) -> None:
    """Makes the class. moto finds it by itself: it lists the direct subclasses of CloudFormationModel."""
    _models.append(type(declared.name.replace("::", ""), (_Behaviour, CloudFormationModel), {"declared": declared}))


def _trimmed(name: str) -> str:
    """A made-up name with its random end kept, as CloudFormation trims it."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 13].rstrip("-") + name[-13:]


def _without_absent_values(original: Any) -> Any:
    """AWS::NoValue removes an item of a list too; moto leaves a None there."""

    @functools.wraps(original)
    def clean_json(document: Any, resources: Any) -> Any:
        if isinstance(document, list):
            return [value for each in document if (value := clean_json(each, resources)) is not None]
        return original(document, resources)

    clean_json.mended = True  # type: ignore[attr-defined]  # marks the wrapper, so that it is put on once
    return clean_json


def _heeding_conditions(original: Any) -> Any:
    """In an update, a resource whose condition has become true is created, or false, deleted: moto sees neither."""

    @functools.wraps(original)
    def update(logical_id: str, document: Any, resources: Any, account_id: str, region_name: str) -> Any:
        condition = document.get("Condition")
        wanted = condition is None or resources.lazy_condition_map[condition]
        existing = resources._parsed_resources.get(logical_id)
        if existing is None:
            return parsing.parse_and_create_resource(logical_id, document, resources, account_id, region_name)
        if not wanted:
            existing.delete(account_id, region_name)
            return None
        return original(logical_id, document, resources, account_id, region_name)

    return update


def _naming_what_failed(original: Any) -> Any:
    @functools.wraps(original)
    def handled(logical_id: str, document: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(logical_id, document, *arguments, **named)
        except ResourceFailedError as error:
            if error.args and str(error.args[0]).startswith("resource "):  # a resource that this one refers to
                raise
            raise ResourceFailedError(f"resource {logical_id} ({document['Type']}): {error}") from error
        except Exception as error:
            raise ResourceFailedError(
                f"resource {logical_id} ({document['Type']}): {type(error).__name__}: {error}"
            ) from error

    return handled
