"""What the ledger is kept by: counters to read, a table of hours, a bucket of reports.

Every call may raise the TransientErrors (ThrottledError, UnavailableError) and AccessDeniedError; a docstring names
what else it raises. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.fleet import Entry
    from standfast.ledger import Counts, Hour


class Counters(Protocol):
    """What was counted of a Region's requests."""

    def counted(self, entry: Entry, begin: float, end: float) -> Mapping[float, Counts]:
        """Begin of a minute -> what was counted in it, for the minutes from `begin` up to `end`.

        Minutes in which nothing was counted are left out. May be repeated: a later answer may hold more.
        """
        ...


class LedgerStore(Protocol):
    """The hours of one Region, kept for two years."""

    def hours(self, begin: float, end: float) -> Sequence[Hour]:
        """Those that begin from `begin` up to `end`, oldest first. Raises CorruptStateError."""
        ...

    def write_hour(self, hour: Hour) -> None:
        """Replace an hour, unless one that was read later is there. Atomic; may be repeated."""
        ...


class ReportStore(Protocol):
    """Reports, in the bucket of each Region. Another Region's are only read."""

    def read(self, key: str, region: str) -> str | None:
        """The text of an object in a Region's bucket; None where there is none."""
        ...

    def write(self, key: str, text: str, content_type: str) -> None:
        """Replace an object in this Region's bucket. May be repeated."""
        ...
