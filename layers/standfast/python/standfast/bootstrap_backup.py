"""The ports of backup and restore and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.backup_ports import BackupStore, RestoreLog, StateTables
    from standfast.backup_taking import Backups


@cache
def backups() -> BackupStore:
    """This Region's backup bucket."""
    from standfast.aws.backup_store import BackupBucket

    return BackupBucket(settings().backup_bucket(settings().region), settings().region)


@cache
def state_tables() -> StateTables:
    """The state tables, item by item."""
    from standfast.aws.state_tables import RegionalTables

    return RegionalTables(settings().table, settings().region_table, settings().region)


@cache
def restore_log() -> RestoreLog:
    """What is known of backups and of a restore under way, in the state table."""
    from standfast.aws.restore_table import RestoreTable

    return RestoreTable(settings().table, settings().region)


def snapshots() -> Backups:
    """This Region's snapshots, in its own bucket."""
    from standfast.backup_taking import Backups

    return Backups(settings().fleet, settings().region, backups())
