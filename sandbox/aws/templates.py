"""From the template that `sam deploy` takes to plain CloudFormation, with everything local staged in a bucket.

AWS's own translator expands `AWS::Serverless::*`. Folders become zips, once per content and with the same bytes each
time; a state machine's definition file is staged as it is, so that its substitutions happen in its text, as on AWS.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moto.cloudformation.models import cloudformation_backends
from moto.core import DEFAULT_ACCOUNT_ID
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws import consumption
from sandbox.aws.resources import ResourceFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SERVERLESS: Final = "AWS::Serverless-2016-10-31"
_NO_YAML: Final = "\t"
"""No YAML begins with a tab: moto then reads JSON as JSON, in milliseconds; as YAML it takes seconds, three times."""
_LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


class TemplateError(ValueError):
    """A template, or the parameters for it, cannot be deployed. The message says what to mend."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """`document`: CloudFormation without SAM. `parameters`: all of them, with defaults. `objects`: key to bytes."""

    document: dict[str, Any]
    parameters: dict[str, str]
    objects: Mapping[str, bytes]


@dataclass(slots=True)
class _Staging:
    """Collects what is to be uploaded; a folder that several functions share is zipped once."""

    bucket: str
    objects: dict[str, bytes] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)

    def folder(self, folder: Path) -> str:
        """The s3:// address of a folder's zip."""
        if folder not in self.keys:
            self.keys[folder] = self._put(zip_folder(folder), ".zip")
        return f"s3://{self.bucket}/{self.keys[folder]}"

    def nothing(self) -> str:
        """The address of an empty zip."""
        return f"s3://{self.bucket}/{self._put(zip_of({}), '.zip')}"

    def file(self, path: Path) -> str:
        """The address of one file, as it is."""
        return f"s3://{self.bucket}/{self._put(path.read_bytes(), path.suffix)}"

    def _put(self, content: bytes, suffix: str) -> str:
        key = hashlib.sha256(content).hexdigest()[:40] + suffix
        self.objects[key] = content
        return key


def expand(
    template: Path,
    parameters: Mapping[str, str],
    *,
    bucket: str,
    layers: Mapping[str, Path | None],
    region: str = "us-east-1",
) -> Expanded:
    """The template, ready for CloudFormation in the Region. Raises TemplateError.

    `layers`: for each layer that `sam build` builds (`Metadata: BuildMethod`), by logical id, the folder that stands
    for the built one, or None when the worker's interpreter already holds its content. A built layer is not guessed.
    """
    document: dict[str, Any] = yaml_parse(template.read_text())
    resolved = resolve_parameters(document, parameters)
    staging = _Staging(bucket)
    if document.get("Transform") == SERVERLESS:
        _stage(document, template.parent, staging, layers)
        document = _without_sam(template, document, {**resolved, "AWS::Region": region})
    return Expanded(document, resolved, staging.objects)


def deploy(
    client: Callable[[str], Any],
    stack_name: str,
    template: Path,
    parameters: Mapping[str, str],
    *,
    bucket: str,
    layers: Mapping[str, Path | None],
) -> dict[str, str]:
    """Creates or updates a stack and gives its outputs.

    `client(service)` makes an API client in the stack's Region; `bucket` exists and takes the artefacts; `layers`: see
    `expand`. Raises TemplateError, NotConsumedError (nothing was done) and ResourceFailedError, which names the
    resource. A stack whose creation failed is forgotten, so that it can be tried again; what it had created stays.
    """
    cloudformation = client("cloudformation")
    region = str(cloudformation.meta.region_name)
    expanded = expand(template, parameters, bucket=bucket, layers=layers, region=region)
    consumption.check(template.name, expanded.document)
    for key, content in expanded.objects.items():
        client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    arguments = {
        "StackName": stack_name,
        "TemplateBody": _NO_YAML + json.dumps(_marked(expanded), default=str),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in expanded.parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    known = {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}
    if stack_name in known:
        cloudformation.update_stack(**arguments)
    else:
        try:
            cloudformation.create_stack(**arguments)
        except ResourceFailedError:
            cloudformation_backends[DEFAULT_ACCOUNT_ID][region].stacks.popitem()
            raise
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _marked(expanded: Expanded) -> dict[str, Any]:
    """The document with the parameters' hash in every resource.

    moto's update looks at resources whose text has changed or that name a changed parameter, and overlooks those that
    depend on it through a condition. With the hash in its text each resource is looked at; one whose properties turn
    out to be the same is left alone.
    """
    mark = hashlib.sha256(json.dumps(expanded.parameters, sort_keys=True).encode()).hexdigest()
    for resource in expanded.document["Resources"].values():
        resource.setdefault("Metadata", {})["Parameters"] = mark
    return expanded.document


def resolve_parameters(document: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter with its value, checked as CloudFormation checks them (moto does not). Raises TemplateError."""
    declared: Mapping[str, Mapping[str, Any]] = document.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}; it has {', '.join(sorted(declared))}")
    resolved: dict[str, str] = {}
    for name, rules in declared.items():
        if name not in given and "Default" not in rules:
            raise TemplateError(f"parameter {name} has no default: give it a value")
        resolved[name] = str(given.get(name, rules.get("Default")))
        problem = _refusal(resolved[name], rules)
        if problem:
            raise TemplateError(f"parameter {name}: '{resolved[name]}' {problem}")
    return resolved


def _refusal(value: str, rules: Mapping[str, Any]) -> str | None:
    if "AllowedValues" in rules and value not in {str(each) for each in rules["AllowedValues"]}:
        return f"is not one of {rules['AllowedValues']}"
    if "AllowedPattern" in rules and re.fullmatch(rules["AllowedPattern"], value) is None:
        return f"does not match {rules['AllowedPattern']}"
    if "MinValue" in rules and float(value) < float(rules["MinValue"]):
        return f"is less than {rules['MinValue']}"
    if "MaxValue" in rules and float(value) > float(rules["MaxValue"]):
        return f"is more than {rules['MaxValue']}"
    return None


def zip_folder(folder: Path) -> bytes:
    """A folder as a zip; the same content gives the same bytes. Caches of Python are left out."""
    if not folder.is_dir():
        raise TemplateError(f"{folder} is not a folder")
    return zip_of({path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)})


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip of names to contents, with fixed times and rights."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _LEFT_OUT & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def _stage(document: dict[str, Any], root: Path, staging: _Staging, layers: Mapping[str, Path | None]) -> None:
    globals_ = document.get("Globals", {}).get("Function", {})
    if _is_local(globals_.get("CodeUri")):
        globals_["CodeUri"] = staging.folder(root / globals_["CodeUri"])
    for logical_id, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function" if _is_local(properties.get("CodeUri")):
                properties["CodeUri"] = staging.folder(root / properties["CodeUri"])
            case "AWS::Serverless::StateMachine" if _is_local(properties.get("DefinitionUri")):
                properties["DefinitionUri"] = staging.file(root / properties["DefinitionUri"])
            case "AWS::Serverless::LayerVersion" if "BuildMethod" in resource.get("Metadata", {}):
                if logical_id not in layers:
                    raise TemplateError(
                        f"{logical_id} is built by `sam build`: say in `layers` what stands for it here"
                    )
                folder = layers[logical_id]
                properties["ContentUri"] = staging.nothing() if folder is None else staging.folder(root / folder)
            case "AWS::Serverless::LayerVersion" if _is_local(properties.get("ContentUri")):
                properties["ContentUri"] = staging.folder(root / properties["ContentUri"])
        resource["Properties"] = _with_includes(properties, root)


def _with_includes(value: Any, root: Path) -> Any:
    """The value with each AWS::Include in the place of the file that it names, as CloudFormation's macro does."""
    match value:
        case {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": str(location)}}}:
            if not (root / location).is_file():
                raise TemplateError(f"AWS::Include: there is no file {location}")
            return yaml_parse((root / location).read_text())
        case dict():
            return {key: _with_includes(each, root) for key, each in value.items()}
        case list():
            return [_with_includes(each, root) for each in value]
        case _:
            return value


def _is_local(address: Any) -> bool:
    return isinstance(address, str) and not address.startswith("s3://")


class _ManagedPolicies:
    """The translator asks IAM for AWS's policies by name. Templates here name them by ARN, so there are none."""

    def load(self) -> dict[str, str]:
        return {}


def _without_sam(template: Path, document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # at exit it warns of metrics that it has not sent
    try:
        expanded: dict[str, Any] = transform(document, dict(parameters), _ManagedPolicies())
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"{template.name}: {error.message} {causes}") from error
    expanded.pop("Transform", None)
    return expanded
