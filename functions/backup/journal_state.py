"""JournalState: a batch of what changed in the state tables, to the backup bucket. Invoked by the tables' streams."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_journals, state_journal, stream_records


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Answer how many pieces were written. A batch that comes again writes none.

    Raises CorruptStateError for what cannot be understood: Lambda then halves the batch until it is alone.
    """
    settings = bootstrap.settings()
    names = {settings.table: stream_records.CLUSTER, settings.region_table: stream_records.REGIONS}
    changes = stream_records.changes_of(event, names)
    journal = bootstrap_journals.state_journal()
    written = sum(journal.write(piece[0].key.table, piece) for piece in state_journal.by_hour(changes))
    now = bootstrap.clock().now()
    bootstrap.metrics().put(
        {"StateChangesJournalled": len(changes), "StateJournalLagSeconds": now - min(each.at for each in changes)}, now
    )
    return {"changes": len(changes), "pieces": written}
