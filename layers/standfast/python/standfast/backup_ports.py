"""What backup and restore need of the world. The rules of calls are those of `ports`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from standfast.brake import Switch
    from standfast.config_adoption import Standing
    from standfast.model_states import ModelRecord
    from standfast.state_journal import ItemKey
    from standfast.stores import ScopeRecord

    Items = Mapping[ItemKey, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ControlState:
    """What a restore puts back, as it was read from items: None or missing where there is none.

    `unreadable`: item -> what is wrong with it, of those that cannot be understood.
    """

    scope: ScopeRecord | None
    standing: Standing | None
    models: Sequence[ModelRecord]
    unreadable: Mapping[ItemKey, str]


@dataclass(frozen=True, slots=True)
class Undo:
    """What was, written before a restore changes anything: whoever finds it can put it back.

    `switch` is the Region's own as it stood, None where nobody had set one. `items`: those that decide, as DynamoDB
    has them. `wanted_text` is the configuration that the restore puts in force.
    """

    execution_arn: str
    at: float
    switch: Switch | None
    items: Items
    wanted_text: str


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The newest snapshot that was found good, when the first one was, and the last good rehearsal. 0: none."""

    snapshot_id: str = ""
    ended_at: float = 0.0
    first_at: float = 0.0
    rehearsed_at: float = 0.0


class BackupStore(Protocol):
    """The backup bucket of this Region. What was written is never changed."""

    def write_once(self, key: str, body: bytes) -> bool:
        """Write an object unless there is another: False, which is left as it is. May be repeated."""
        ...

    def read(self, key: str) -> bytes | None:
        """An object, None where there is none."""
        ...

    def snapshots(self, region: str, day: str) -> Sequence[str]:
        """The ids of a Region's snapshots of one day (`YYYY/MM/DD`), finished or not, the newest first."""
        ...


class StateTables(Protocol):
    """The state tables of this Region, item by item, as DynamoDB has them."""

    def scan(self) -> Items:
        """Every item: those of the Region's own table strongly consistent, each at its own moment."""
        ...

    def read_decisive(self) -> Items:
        """The items that a restore puts back, as they are now, strongly consistent, each at its own moment."""
        ...

    def understood(self, items: Items) -> ControlState:
        """What these items say of this Region. Never raises: what cannot be understood is named."""
        ...

    def decisive(self, items: Items) -> Items:
        """Those of them that a restore puts back."""
        ...

    def discard(self, key: ItemKey, seen: Mapping[str, Any]) -> None:
        """Delete an item that nobody can understand. Raises ConflictError when it is not as it was seen.

        May be repeated: that it is gone already is as good.
        """
        ...


class RestoreLog(Protocol):
    """Items of the state table that are about backups themselves."""

    def read_undo(self) -> Undo | None:
        """What is to be put back, None where no restore is under way."""
        ...

    def write_undo(self, undo: Undo) -> Undo:
        """Write it unless there is one; answers the one that is there then."""
        ...

    def drop_undo(self, execution_arn: str) -> None:
        """It was committed or put back. May be repeated; that of another execution is left alone."""
        ...

    def last_backup(self) -> LastBackup:
        """What is known of backups."""
        ...

    def note_backup(self, last: LastBackup) -> None:
        """Write what is known. An older snapshot never replaces a newer one. May be repeated."""
        ...

    def scratch(self) -> Scratch:
        """A scope of this Region's table that nobody serves from."""
        ...


class Scratch(Protocol):
    """A scope to restore into that nobody watches, and that has no traffic."""

    def fill(self, items: Items) -> None:
        """Write these items into it, under its own partitions. May be repeated."""
        ...

    def contents(self) -> Items:
        """What is in it, under the names that the items had before."""
        ...

    def discard_all(self) -> Iterator[ItemKey]:
        """Delete everything in it; the keys of what was deleted. May be repeated."""
        ...
