"""SyncedStore on the state table's item CONFIG: what is in force in this Region, and the version that was last synced.

ClusterTable reads the same item, for those who need what is in force and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from standfast.aws.calls import config
from standfast.aws.records import reading
from standfast.aws.table import Table
from standfast.config_adoption import Standing, Synced
from standfast.config_versions import ConfigVersion
from standfast.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from standfast.fleet import FleetConfig


class ConfigTable(Table):
    """One item of the state table."""

    def __init__(self, table: str, region: str, client: DynamoDBClient | None = None) -> None:
        super().__init__(table, client or boto3.client("dynamodb", config=config(attempts=3)))
        self._region = region

    def standing(self) -> Standing:
        item = self._get(self._region, "CONFIG")
        if item is None:
            return Standing()
        return standing_from_item(item)

    def write_standing(self, config: FleetConfig, *, seen_revision: int, synced: Synced | None) -> Standing:
        standing = Standing(seen_revision + 1, config.canonical(), config.digest(), synced)
        item: dict[str, object] = {
            "version": standing.revision,
            "sha256": standing.sha256,
            "document": standing.text,
            "synced": None if synced is None else _item(synced),
        }
        if seen_revision == 0:
            written = self._put_new(self._region, "CONFIG", item)
        else:
            written = self._put_if(self._region, "CONFIG", item, "version = :seen", {":seen": seen_revision})
        if not written:
            raise ConflictError(f"the FleetConfig is no longer at revision {seen_revision}; read it and decide again")
        return standing


def standing_from_item(item: Mapping[str, Any]) -> Standing:
    """What a CONFIG item holds, unparsed."""
    with reading("CONFIG"):
        synced = item.get("synced")  # not in items of earlier releases
        return Standing(
            revision=int(item["version"]),
            text=str(item["document"]),
            sha256=str(item["sha256"]),
            synced=None if synced is None else _synced(synced),
        )


def _item(synced: Synced) -> dict[str, object]:
    return {
        "version": synced.wanted.version,
        "sha256": synced.wanted.sha256,
        "token": synced.token,
        "applied_sha256": synced.applied_sha256,
        "by": synced.by,
        "at": synced.at,
    }


def _synced(item: Mapping[str, Any]) -> Synced:
    wanted = ConfigVersion(int(item["version"]), str(item["sha256"]))
    return Synced(wanted, int(item["token"]), str(item["applied_sha256"]), str(item["by"]), float(item["at"]))
