"""From the template that `sam deploy` takes to plain CloudFormation, with everything local staged in a bucket.

AWS's own translator expands `AWS::Serverless::*`. Folders become zips, once per content and with the same bytes each
time; a state machine's definition file is staged as it is, so that its substitutions happen in its text, as on AWS. A
nested stack's template is staged expanded, and deployed with the stack that it is in: `sandbox.aws.declared.nested`.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws import consumption, stacks
from sandbox.aws.parameters import TemplateError, resolve_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Expanded", "TemplateError", "deploy", "expand", "zip_folder", "zip_of"]

SERVERLESS: Final = "AWS::Serverless-2016-10-31"
_LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


@dataclass(frozen=True, slots=True)
class Expanded:
    """`document`: CloudFormation without SAM. `parameters`: all of them, with defaults. `objects`: key to bytes.

    `nested`: the documents of nested stacks, by where their templates are.
    """

    document: dict[str, Any]
    parameters: dict[str, str]
    objects: Mapping[str, bytes]
    nested: Mapping[str, dict[str, Any]]


@dataclass(slots=True)
class _Staging:
    """Collects what is to be uploaded; a folder that several functions share is zipped once.

    `layers` and `region`: as in `expand`. `nested`: as in `Expanded`.
    """

    bucket: str
    layers: Mapping[str, Path | None]
    region: str
    nested: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)

    def folder(self, folder: Path) -> str:
        """The s3:// address of a folder's zip."""
        known = folder.resolve()  # a nested template comes to it by ..
        if known not in self.keys:
            self.keys[known] = self._put(zip_folder(known), ".zip")
        return f"s3://{self.bucket}/{self.keys[known]}"

    def nothing(self) -> str:
        """The address of an empty zip."""
        return f"s3://{self.bucket}/{self._put(zip_of({}), '.zip')}"

    def file(self, path: Path) -> str:
        """The address of one file, as it is."""
        return f"s3://{self.bucket}/{self._put(path.read_bytes(), path.suffix)}"

    def template(self, location: str, document: dict[str, Any]) -> str:
        """The address of a nested stack's template. CloudFormation wants https."""
        self.nested[location] = document
        key = self._put(json.dumps(document, default=str).encode(), ".template")
        return f"https://s3.{self.region}.amazonaws.com/{self.bucket}/{key}"

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
    staging = _Staging(bucket, layers, region)
    plain = _plain(template, document, resolved, staging)
    return Expanded(plain, resolved, staging.objects, staging.nested)


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
    consumption.check(template.name, expanded.document, expanded.nested)
    for key, content in expanded.objects.items():
        client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    put = stacks.update if stacks.exists(cloudformation, stack_name) else stacks.create
    return stacks.outputs(put(cloudformation, stack_name, expanded.document, expanded.parameters))


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


def _plain(template: Path, document: dict[str, Any], known: Mapping[str, str], staging: _Staging) -> dict[str, Any]:
    """The document without SAM. `known`: the parameters' values, as far as they are known before the deployment."""
    if document.get("Transform") != SERVERLESS:
        return document
    _stage(document, template.parent, known, staging)
    return _without_sam(template, document, {**known, "AWS::Region": staging.region})


def _nested(logical_id: str, properties: Mapping[str, Any], root: Path, known: Mapping[str, str], to: _Staging) -> str:
    """The address of a nested stack's template, staged without SAM."""
    location = properties.get("Location")
    if not isinstance(location, str) or not (root / location).is_file():
        raise TemplateError(f"{logical_id}: there is no template {location}")
    document: dict[str, Any] = yaml_parse((root / location).read_text())
    passed = properties.get("Parameters", {})
    unknown = sorted(set(passed) - set(document.get("Parameters", {})))
    if unknown:
        raise TemplateError(f"{logical_id}: {location} has no parameter {', '.join(unknown)}")
    values = {name: known[value["Ref"]] for name, value in passed.items() if _refers_to(value, known)}
    return to.template(location, _plain(root / location, document, values, to))


def _refers_to(value: Any, known: Mapping[str, str]) -> bool:
    return isinstance(value, dict) and value.get("Ref") in known


def _stage(document: dict[str, Any], root: Path, known: Mapping[str, str], staging: _Staging) -> None:
    globals_ = document.get("Globals", {}).get("Function", {})
    if _is_local(globals_.get("CodeUri")):
        globals_["CodeUri"] = staging.folder(root / globals_["CodeUri"])
    for logical_id, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Application":
                properties["Location"] = _nested(logical_id, properties, root, known, staging)
            case "AWS::Serverless::Function" if _is_local(properties.get("CodeUri")):
                properties["CodeUri"] = staging.folder(root / properties["CodeUri"])
            case "AWS::Serverless::StateMachine" if _is_local(properties.get("DefinitionUri")):
                properties["DefinitionUri"] = staging.file(root / properties["DefinitionUri"])
            case "AWS::Serverless::LayerVersion" if "BuildMethod" in resource.get("Metadata", {}):
                if logical_id not in staging.layers:
                    raise TemplateError(
                        f"{logical_id} is built by `sam build`: say in `layers` what stands for it here"
                    )
                folder = staging.layers[logical_id]
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
