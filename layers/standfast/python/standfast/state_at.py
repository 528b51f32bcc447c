"""The state of a Region's tables at a moment: a snapshot, and the journal from there on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.state_journal import Replayed, reads_from, replay

if TYPE_CHECKING:
    from standfast.journal_ports import StateJournal
    from standfast.state_journal import Snapshot


def state_at(moment: float, snapshot: Snapshot, journal: StateJournal) -> Replayed:
    """The state at a moment, with every gap named: whoever restores it decides whether gaps are accepted.

    `snapshot` is one that was complete by then, best the newest such. Raises InvalidInputError for one that was not.
    """
    return replay(snapshot, journal.pieces(reads_from(snapshot), moment), moment)
