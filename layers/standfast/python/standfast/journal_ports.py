"""What the journals need of the world: the state journal's bucket. The rules of calls are those of `ports`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from standfast.state_journal import Change, DamagedPiece, Piece


class StateJournal(Protocol):
    """The pieces of the state journal in the backup bucket. What was written is never changed."""

    def write(self, table: str, changes: Sequence[Change]) -> bool:
        """Write one piece: changes of one table and one hour, in order, at least one.

        May be repeated: the piece is named by its first and its last change, and False says that it was there already.
        """
        ...

    def pieces(self, since: float, until: float) -> Iterator[Piece | DamagedPiece]:
        """The pieces that may hold changes from `since` to `until`: those of these hours, in no order."""
        ...
