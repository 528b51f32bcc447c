"""The manifest: what a model version consists of, to the byte. Written once, and never changed.

Canonical JSON, so that equal models are equal texts: sorted keys, no spaces. It lies in the model bucket beside the
objects that it names, under the same keys in every Region.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from standfast.errors import CorruptStateError
from standfast.golden import Golden

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
FOLDERS, MANIFESTS, WORK = "models/", "manifests/", "executions/"
"""What the bucket holds: the models' folders, their manifests, and what an execution notes down for its own states."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelObject:
    """One object. `path` is relative to the model's folder; `crc64nvme` is S3's checksum of the full object, base64.

    `tensors` is how many tensors a shard holds, 0 for what is no shard.
    """

    path: str
    size: int
    sha256: str
    crc64nvme: str
    tensors: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """One model version. `model` and `version` are FleetConfig's; `prefix` is its folder's key, ending in /.

    `index` is the path of the shard index, empty where there is one file only. `engine` and `engine_flags` are how it
    was meant to be served; `golden` what it answers, empty where nobody recorded it.
    """

    model: str
    version: str | None
    prefix: str
    format: Literal["safetensors", "gguf"]
    objects: tuple[ModelObject, ...]
    index: str = ""
    tokenizer_sha256: str = ""
    engine: str = ""
    engine_flags: tuple[str, ...] = ()
    golden: tuple[Golden, ...] = field(default=())

    @property
    def name(self) -> str:
        """How people are told of it."""
        return f"{self.model} {self.version}" if self.version else self.model

    @property
    def bytes(self) -> int:
        """All of its objects together."""
        return sum(each.size for each in self.objects)

    def by_key(self) -> Mapping[str, ModelObject]:
        """S3 key -> object."""
        return {self.prefix + each.path: each for each in self.objects}

    def canonical(self) -> str:
        """The text that is kept."""
        document = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def manifest_key(model: str, version: str | None) -> str:
    """Where the manifest of a model version lies."""
    named = [model] if version is None else [model, version]
    return MANIFESTS + "/".join(quote(each, safe="") for each in named) + ".json"


def parse_manifest(text: str, what: str) -> Manifest:
    """A manifest as it was written. Raises CorruptStateError."""
    try:
        document = json.loads(text)
        schema = document.pop("schema")
        if schema != SCHEMA:
            raise ValueError(f"schema {schema!r}, this release knows {SCHEMA}")  # noqa: TRY301
        manifest = _manifest(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptStateError(
            f"the manifest {what} cannot be understood ({error!r}); register another version"
        ) from (error)
    return manifest


def _manifest(document: dict[str, Any]) -> Manifest:
    objects = tuple(ModelObject(**each) for each in document.pop("objects"))
    golden = tuple(Golden(**each) for each in document.pop("golden"))
    flags = tuple(document.pop("engine_flags"))
    for each in objects:
        if not isinstance(each.path, str) or not _SHA256.fullmatch(each.sha256) or each.size < 0 or not each.crc64nvme:
            raise ValueError(f"object {each.path!r}")
    if not objects or not document["prefix"].startswith(FOLDERS) or not document["prefix"].endswith("/"):
        raise ValueError("no objects, or none of our folders")
    return Manifest(**document, objects=objects, golden=golden, engine_flags=flags)
