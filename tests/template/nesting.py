"""Nested templates as if their resources stood in template.yaml: so that one set of rules holds all of them.

What a nested template takes as a parameter becomes what template.yaml gives for it: `!Ref KeyArn` is `!GetAtt Key.Arn`
again, and a rule that wants the fleet's key finds it.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

APPLICATION = "AWS::Serverless::Application"
PATHS = ("CodeUri", "ContentUri", "DefinitionUri", "Location")


def applications(document: Document) -> dict[str, Document]:
    """Logical id -> the resource of each nested stack of a template."""
    return {name: each for name, each in document["Resources"].items() if each["Type"] == APPLICATION}


def in_place(nested: Document, application: Document) -> Document:
    """A nested template with what it is given in the place of its parameters, and paths as from its parent's folder."""
    given: Document = application["Properties"]["Parameters"]
    declared: Document = nested["Parameters"]
    if set(given) != set(declared):
        raise ValueError(
            f"{application['Properties']['Location']} takes or is given alone: {sorted(set(given) ^ set(declared))}"
        )
    arguments = {
        name: _list(given[name]) if rules["Type"] == "CommaDelimitedList" else given[name]
        for name, rules in declared.items()
    }
    filled: Document = _filled({name: part for name, part in nested.items() if name != "Parameters"}, arguments)
    return filled


def flattened(document: Document, nested: dict[str, Document]) -> Document:
    """The document with the resources and conditions of its nested templates, by location, and without their stacks.

    Raises ValueError where two templates mean different things by one name.
    """
    stacks = applications(document)
    parts = {name: in_place(nested[each["Properties"]["Location"]], each) for name, each in stacks.items()}
    whole: Document = _with_outputs(document, parts)
    for name in stacks:
        del whole["Resources"][name]
    for name, part in parts.items():
        if "Condition" in stacks[name]:
            for resource in part["Resources"].values():
                resource.setdefault("Condition", stacks[name]["Condition"])
        twice = set(whole["Resources"]) & set(part["Resources"])
        if twice:
            raise ValueError(f"{sorted(twice)} are in two templates")
        whole["Resources"].update(_with_outputs(part["Resources"], parts))
        for condition, meaning in part.get("Conditions", {}).items():
            if whole["Conditions"].setdefault(condition, meaning) != meaning:
                raise ValueError(f"{condition} is another condition in {name}")
    return whole


def _list(argument: Any) -> Any:
    """A list goes to a nested stack as a string with commas, and is a list there again."""
    match argument:
        case {"Fn::Join": [",", items]}:
            return items
    return argument


def _filled(value: Any, arguments: Document, key: str = "") -> Any:
    match value:
        case {"Ref": str(name)} if name in arguments:
            return arguments[name]
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": _substituted(text, arguments)}
        case dict():
            return {name: _filled(each, arguments, name) for name, each in value.items()}
        case list():
            return [_filled(each, arguments) for each in value]
        case str() if key in PATHS:
            return value.removeprefix("../")
    return value


def _substituted(text: str, arguments: Document) -> str:
    def text_of(match: re.Match[str]) -> str:
        match arguments.get(match[1]):
            case None:
                return match[0]
            case {"Ref": str(name)}:
                return f"${{{name}}}"
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return f"${{{name}.{attribute}}}"
        raise ValueError(f"{match[0]} in a Fn::Sub is neither a Ref nor a GetAtt of template.yaml")

    return re.sub(r"\$\{(\w+)\}", text_of, text)


def _with_outputs(value: Any, parts: dict[str, Document]) -> Any:
    match value:
        case {"Fn::GetAtt": [str(name), str(attribute)]} if name in parts:
            return parts[name]["Outputs"][attribute.removeprefix("Outputs.")]["Value"]
        case dict():
            return {name: _with_outputs(each, parts) for name, each in value.items()}
        case list():
            return [_with_outputs(each, parts) for each in value]
    return value
