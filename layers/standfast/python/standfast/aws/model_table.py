"""ModelStates: one partition of the state table, an item a model version.

| pk | sk | item |
|---|---|---|
| <Region>#MODELS | [model, version] as JSON | how far it is in this Region |
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.errors import ConflictError
from standfast.model_states import ModelRecord, ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient


class ModelTable(Table):
    """ModelStates on DynamoDB. For another Region's states give its table, its name and a client there."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._partition = f"{region}#MODELS"

    def read_model(self, model: str, version: str | None) -> ModelRecord | None:
        item = self._get(self._partition, _name(model, version))
        return None if item is None else record_from_item(item)

    def models(self) -> Sequence[ModelRecord]:
        return [record_from_item(item) for item in self._query(self._partition)]

    def write_model(self, record: ModelRecord) -> ModelRecord:
        written = replace(record, revision=record.revision + 1)
        item = {**asdict(written), "state": str(written.state)}
        name = _name(record.model, record.version)
        unchanged, seen = ("revision = :seen", {":seen": record.revision})
        if record.revision == 0:
            unchanged, seen = ("attribute_not_exists(pk)", {})
        if not self._put_if(self._partition, name, item, unchanged, seen):
            raise ConflictError(f"the state of model {name} is no longer at revision {record.revision}; read it again")
        return written


def _name(model: str, version: str | None) -> str:
    """As JSON, so that no model's name and version can look like another's."""
    return json.dumps([model, version])


def record_from_item(item: Mapping[str, Any]) -> ModelRecord:
    """The record of an item of the models' partition."""
    with reading(f"the model {item.get('model')} {item.get('version')}"):
        return ModelRecord(
            model=item["model"],
            version=item["version"],
            state=ModelState(item["state"]),
            manifest_sha256=item["manifest_sha256"],
            source_region=item["source_region"],
            reason=item["reason"],
            updated_at=float(item["updated_at"]),
            bytes=int(item["bytes"]),
            objects=int(item["objects"]),
            verified_at=_moment(item, "verified_at"),
            live_since=_moment(item, "live_since"),
            revision=int(item["revision"]),
        )


def _moment(item: Mapping[str, Any], name: str) -> float | None:
    value = item[name]
    return None if value is None else float(value)
