"""The templates and the state machines as documents: parsed once, SAM expanded, definitions inlined.

`source` and `expanded` are template.yaml with what its nested templates hold: every rule on them holds both.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias
from unittest import mock

import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.template import nesting

Document: TypeAlias = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parents[2]
TEMPLATE: Final = ROOT / "template.yaml"
NESTED: Final = {f"stacks/{path.name}": path for path in sorted((ROOT / "stacks").glob("*.yaml"))}
"""By what template.yaml calls their Location."""
STACKS: Final = {"template.yaml": TEMPLATE, **NESTED}
INFRASTRUCTURE: Final = {
    path.name: path
    for path in sorted((ROOT / "infrastructure").glob("*.yaml"))
    if path.read_text().startswith("AWSTemplateFormatVersion")
}
STATE_MACHINES: Final = {
    path.name.removesuffix(".asl.yaml"): path for path in sorted((ROOT / "statemachines").glob("*.asl.yaml"))
}
PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")
PLACEHOLDER_OF_AWS: Final = re.compile(r"\$\{([\w:]+)\}")
MADE_UP: Final = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "111122223333",
    "FleetName": "standfast",
}


class _NoManagedPolicies:
    """The translator asks IAM for AWS's policies by name. Templates here name them by ARN."""

    def load(self) -> dict[str, str]:
        return {}


def parse(template: Path) -> Document:
    """A template as written, a new copy each time."""
    document: Document = yaml_parse(template.read_text())
    return document


@cache
def source() -> Document:
    """template.yaml as written, with what its nested templates hold. Do not change it."""
    return nesting.flattened(parse(TEMPLATE), {name: parse(path) for name, path in NESTED.items()})


@cache
def expanded() -> Document:
    """`source` as AWS's own translator expands it, each definition inlined. Do not change it."""
    return _expanded(nesting.flattened(parse(TEMPLATE), {name: parse(path) for name, path in NESTED.items()}))


@cache
def expanded_alone(name: str) -> Document:
    """One of STACKS as CloudFormation sees it: expanded by itself, each definition inlined. Do not change it."""
    return _expanded(parse(STACKS[name]))


def _expanded(document: Document) -> Document:
    document["Globals"]["Function"]["CodeUri"] = "s3://artefacts/functions.zip"  # as `sam package` would write it
    for resource in document["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = "s3://artefacts/layer.zip"
        if resource["Type"] == nesting.APPLICATION:
            properties["Location"] = "https://s3.us-east-1.amazonaws.com/artefacts/nested.template"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            path = ROOT / properties.pop("DefinitionUri")
            properties["Definition"] = machine(path.name.removesuffix(".asl.yaml"))
            # Filled in already: a linter does not know that a number in quotes becomes one.
            del properties["DefinitionSubstitutions"]
    defaults = {name: str(rules["Default"]) for name, rules in document["Parameters"].items() if "Default" in rules}
    with mock.patch.dict("os.environ", {"AWS_DEFAULT_REGION": "us-east-1"}):
        plain: Document = transform(document, defaults, _NoManagedPolicies())
    return plain


def resources(type_name: str) -> dict[str, Document]:
    """Logical id -> properties, of the resources of one type, nested ones too."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in expanded()["Resources"].items()
        if resource["Type"] == type_name
    }


@cache
def machine(name: str) -> Document:
    """A state machine with its substitutions filled in: numbers as the template has them, a made-up ARN a function."""
    given = substitutions(name)
    machines = {logical_id(each) for each in STATE_MACHINES}

    def fill(match: re.Match[str]) -> str:
        value = given[match[1]]
        if isinstance(value, str):
            return value
        if text := value.get("Fn::Sub"):
            return PLACEHOLDER_OF_AWS.sub(lambda name: MADE_UP[name[1]], str(text))
        if target(value) in machines:
            return f"arn:aws:states:us-east-1:111122223333:stateMachine:{target(value)}"
        return f"arn:aws:lambda:us-east-1:111122223333:function:{target(value)}"

    document: Document = yaml.safe_load(PLACEHOLDER.sub(fill, STATE_MACHINES[name].read_text()))
    return document


def logical_id(name: str) -> str:
    """The resource of a state machine."""
    (found,) = [
        str(each)
        for each, resource in source()["Resources"].items()
        if resource["Properties"].get("DefinitionUri") == f"statemachines/{name}.asl.yaml"
    ]
    return found


def substitutions(name: str) -> Document:
    """What the template fills into a state machine's definition."""
    given: Document = source()["Resources"][logical_id(name)]["Properties"]["DefinitionSubstitutions"]
    return given


def target(value: object) -> str:
    """The logical id to which a Ref or GetAtt points, "" for anything else. `Key.Arn` and `["Key", "Arn"]` are one."""
    match value:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::GetAtt": str(path)}:
            return path.split(".")[0]
    return ""


def inner_graphs(state: Document) -> list[Document]:
    """What runs inside a state: the branches of a Parallel, the processor of a Map."""
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def states_with_branches(name: str) -> list[tuple[str, Document]]:
    """(name, state) of all states of a machine, those within branches and Maps too."""
    found: list[tuple[str, Document]] = []
    left = [machine(name)["States"]]
    while left:
        for state_name, state in left.pop().items():
            found.append((state_name, state))
            left += [inner["States"] for inner in inner_graphs(state)]
    return found
