"""Stacks on moto's CloudFormation, those that are nested in another one too: created, or brought up to date."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from moto.cloudformation.models import cloudformation_backends
from moto.core import DEFAULT_ACCOUNT_ID

from sandbox.aws.resources import ResourceFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_YAML: Final = "\t"
"""No YAML begins with a tab: moto then reads JSON as JSON, in milliseconds; as YAML it takes seconds, three times."""
_IN_SUB: Final = re.compile(r"\$\{(\w+)")


def exists(cloudformation: Any, name: str) -> bool:
    """Whether there is a stack of this name. Not from within a stack's creation: moto would look at its outputs."""
    return name in {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}


def create(cloudformation: Any, name: str, document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Creates a stack and describes it as `DescribeStacks` does.

    Raises ResourceFailedError; the stack, and those nested in it, are then forgotten, so that it can be tried again.
    What they had created stays.
    """
    stacks = cloudformation_backends[DEFAULT_ACCOUNT_ID][str(cloudformation.meta.region_name)].stacks
    before = set(stacks)
    try:
        cloudformation.create_stack(**_arguments(name, document, parameters))
    except ResourceFailedError:
        for stack_id in set(stacks) - before:
            del stacks[stack_id]
        raise
    return _described(cloudformation, name)


def update(cloudformation: Any, name: str, document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Brings a stack up to date and describes it. Raises ResourceFailedError."""
    cloudformation.update_stack(**_arguments(name, document, parameters))
    return _described(cloudformation, name)


def outputs(described: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a stack that was described."""
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _described(cloudformation: Any, name: str) -> dict[str, Any]:
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return dict(stack)


def _arguments(name: str, document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    return {
        "StackName": name,
        "TemplateBody": _NO_YAML + json.dumps(_marked(_in_order(document), parameters), default=str),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }


def _marked(document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The document with the hash of all of it and of its parameters in every resource.

    moto's update looks at resources whose text has changed or that name a changed parameter, and overlooks those that
    depend on it through a condition, or on what another resource tells. With the hash in its text each resource is
    looked at; one whose properties turn out to be the same is left alone.
    """
    mark = hashlib.sha256(json.dumps([document, parameters], sort_keys=True, default=str).encode()).hexdigest()
    for resource in document["Resources"].values():
        resource.setdefault("Metadata", {})["Deployed"] = mark
    return document


def _in_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every resource after those that it refers to: moto updates them as they stand there."""
    resources: Mapping[str, Any] = document["Resources"]
    ordered: dict[str, Any] = {}
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in resources and name not in seen:
            seen.add(name)
            for other in _referred(resources[name]):
                add(other)
            ordered[name] = resources[name]

    for name in resources:
        add(name)
    return {**document, "Resources": ordered}


def _referred(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from _IN_SUB.findall(text)
        case {"Fn::Sub": [str(text), more]}:
            yield from _IN_SUB.findall(text)
            yield from _referred(more)
        case dict():
            for key, each in value.items():
                yield from ([each] if isinstance(each, str) else each) if key == "DependsOn" else _referred(each)
        case list():
            for each in value:
                yield from _referred(each)
