"""The ports of both journals and their adapters: a cached factory a port, as in bootstrap."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from standfast.bootstrap import settings

if TYPE_CHECKING:
    from standfast.journal_ports import StateJournal


@cache
def state_journal() -> StateJournal:
    """This Region's state journal, in its backup bucket."""
    from standfast.aws.journal_bucket import JournalBucket

    region = settings().region
    return JournalBucket(settings().backup_bucket(region), settings().fleet, region)
