"""The sandbox fails on any resource type or property that it does not understand: what runs is what deploys.

A property is *consumed* (something in the sandbox does what AWS would do with it, or stores it so that it can be read
back), or *inert here*, with its reason, or the deployment fails and names it. The declarations stand beside the calls
that make a resource, in `sandbox.aws.declared`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.aws.declared import alarms, functions, messages, nested, network, routing, stores
from sandbox.aws.resources import covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.aws.resources import ResourceType

TYPES: Final[Mapping[str, ResourceType]] = {
    declared.name: declared
    for module in (functions, stores, messages, alarms, network, nested, routing)
    for declared in module.TYPES
}

_SECTIONS: Final = frozenset(
    {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Resources",
     "Outputs"}
)  # fmt: skip
# Beside Properties. Deletion policies: a stack is not deleted before the sandbox ends. Metadata: for tools.
_RESOURCE_KEYS: Final = frozenset(
    {"Type", "Properties", "Condition", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
)
# What moto's CloudFormation resolves: moto/cloudformation/parsing.py, clean_json and parse_condition.
_FUNCTIONS: Final = frozenset(
    {"Ref", "Fn::FindInMap", "Fn::GetAtt", "Fn::If", "Fn::Join", "Fn::Split", "Fn::Select", "Fn::Sub", "Fn::GetAZs",
     "Fn::ImportValue", "Fn::Base64", "Fn::ToJsonString", "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Condition"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unconsumed:
    """One thing in a template that the sandbox does not understand. `path`: of the property, or what else it is."""

    template: str
    logical_id: str
    resource_type: str
    path: str

    def __str__(self) -> str:
        return f"{self.template}: {self.logical_id} ({self.resource_type}): {self.path}"


class NotConsumedError(ValueError):
    """A template holds types or properties that the sandbox does not understand. Nothing was deployed."""

    def __init__(self, found: tuple[Unconsumed, ...]) -> None:
        self.found = found
        lines = "\n  ".join(str(each) for each in found)
        super().__init__(
            f"The sandbox does not consume {len(found)} of the template's properties:\n  {lines}\n"
            "Declare each in sandbox/aws/declared: consume it, or call it inert and say why."
        )


def check(template: str, document: Mapping[str, Any], nested: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Raises NotConsumedError with everything in an expanded template that would be dropped in silence.

    `nested`: the expanded templates of its nested stacks, by name.
    """
    found = [each for name, one in {template: document, **(nested or {})}.items() for each in _dropped(name, one)]
    if found:
        raise NotConsumedError(tuple(found))


def _dropped(template: str, document: Mapping[str, Any]) -> list[Unconsumed]:
    found = [Unconsumed(template, name, "template", "section") for name in sorted(set(document) - _SECTIONS)]
    for logical_id, resource in document["Resources"].items():
        kind = resource["Type"]
        found += [Unconsumed(template, logical_id, kind, path) for path in _unconsumed(resource)]
    for section in ("Conditions", "Outputs"):
        for name, value in document.get(section, {}).items():
            found += [Unconsumed(template, name, section, function) for function in _unknown_functions(value)]
    return found


def inert_properties(document: Mapping[str, Any]) -> dict[str, str]:
    """`Type.path` to the reason, for every property of the template that changes nothing in the sandbox."""
    reasons: dict[str, str] = {}
    for resource in document["Resources"].values():
        declared = TYPES.get(resource["Type"])
        for path in _paths(resource.get("Properties", {})) if declared else ():
            reasons.update(
                {f"{resource['Type']}.{path}": why for known, why in declared.inert.items() if covers(known, path)}
                if declared
                else {}
            )
    return reasons


def _unconsumed(resource: Mapping[str, Any]) -> list[str]:
    declared = TYPES.get(resource["Type"])
    if declared is None:
        return ["the type"]
    known = (*declared.consumes, *declared.inert)
    properties = resource.get("Properties", {})
    found = [key for key in resource if key not in _RESOURCE_KEYS]
    found += [path for path in dict.fromkeys(_paths(properties)) if not any(covers(each, path) for each in known)]
    return found + list(_unknown_functions(properties))


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all properties that hold a value; lists and both sides of Fn::If are looked through."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return
        case {"Fn::If": [_, yes, no]}:
            yield from _paths(yes, prefix)
            yield from _paths(no, prefix)
        case dict() if value and not _is_function(value):
            for key, each in value.items():
                yield from _paths(each, f"{prefix}.{key}" if prefix else key)
        case list() if value:
            for each in value:
                yield from _paths(each, prefix)
        case _ if prefix:
            yield prefix


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and (key := next(iter(value))) is not None and (key == "Ref" or key.startswith("Fn::"))


def _unknown_functions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (key for key in value if str(key).startswith("Fn::") and key not in _FUNCTIONS)
        for each in value.values():
            yield from _unknown_functions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _unknown_functions(each)
