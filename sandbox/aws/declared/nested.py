"""Nested stacks: what SAM makes of `AWS::Serverless::Application`. Their resources are made as all others are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox.aws import stacks
from sandbox.aws.parameters import resolve_parameters
from sandbox.aws.resources import Created, ResourceFailedError, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.aws.resources import Context, Properties

    Deploy = Callable[[Any, str, dict[str, Any], Mapping[str, str]], dict[str, Any]]


def _create(context: Context, properties: Properties) -> Created:
    return _deployed(stacks.create, context, properties)


def _update(context: Context, _: Created, properties: Properties) -> Created:
    return _deployed(stacks.update, context, properties)


def _deployed(deploy: Deploy, context: Context, properties: Properties) -> Created:
    document = _template(context, str(properties["TemplateURL"]))
    given = {key: str(value) for key, value in properties.get("Parameters", {}).items()}
    try:
        stack = deploy(context.client("cloudformation"), context.name, document, resolve_parameters(document, given))
    except ResourceFailedError as error:
        raise ResourceFailedError(f"in the nested stack, {error}") from error
    return Created(stack["StackId"], {f"Outputs.{key}": value for key, value in stacks.outputs(stack).items()})


def _template(context: Context, url: str) -> dict[str, Any]:
    """The template at https://s3.REGION.amazonaws.com/BUCKET/KEY, where `templates.expand` stages it."""
    bucket, _, key = urlsplit(url).path.lstrip("/").partition("/")
    document: dict[str, Any] = json.loads(context.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return document


TYPES = (
    ResourceType(
        "AWS::CloudFormation::Stack",
        consumes=("TemplateURL", "Parameters.*"),
        inert={"Tags.*": "SAM's mark of what it made; no role or rule asks for the tags of a stack"},
        create=_create, update=_update, attributes=("Outputs.*",),
        delete=lambda context, created: context.call("cloudformation", "delete_stack", StackName=created.physical_id),
    ),
)  # fmt: skip
