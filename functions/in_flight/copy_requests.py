"""CopyRequests: what changed in this Region's request table, to the table of the next Region. Invoked by its stream.

While that Region is away the batch fails, and Lambda brings it again until its requests are over.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_journals, request_copies

if TYPE_CHECKING:
    from standfast.request_copies import Copies

AT_ONCE = 16


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Answer what was copied, and what was not because that Region has its own. May run twice for one batch.

    Raises CorruptStateError for what cannot be understood: Lambda then halves the batch until it is alone.
    """
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    found = request_copies.copies_of(event, region)
    regions = list(bootstrap.cluster_table().read_config().config.regions)
    written = _copy(found, request_copies.next_region(region, regions))
    requests, settled = bootstrap_journals.requests(), 0
    for home, heads in found.settled.items():
        settled += sum(bootstrap_journals.copies_in(home).settle(head, requests.answer_of(head)) for head in heads)
    bootstrap.metrics().put({"RequestCopyLagSeconds": max(0.0, now - found.oldest_at)}, now)
    return {"written": sum(written), "refused": len(written) - sum(written), "settled": settled}


def _copy(found: Copies, to: str) -> list[bool]:
    """Heads come last: one without its body could only be given up."""
    if not to:
        return []
    there = bootstrap_journals.copies_in(to)
    threads = ThreadPoolExecutor(AT_ONCE)
    try:
        written = [*threads.map(there.write, found.parts)]
        written += threads.map(there.write_head, found.heads)
        list(threads.map(there.forget, found.forgotten))
    finally:
        threads.shutdown(cancel_futures=True)  # where that Region is away, the first who finds out is enough
    return written
