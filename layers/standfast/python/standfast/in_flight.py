"""What is in flight in a Region at a moment: what is open, and what nobody has and it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from standfast import journal, request_copies
from standfast.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from standfast.fleet import FleetConfig
    from standfast.journal import Head
    from standfast.journal_ports import RequestJournal
    from standfast.region_ports import RegionStore


MOST_NAMED: Final = 800


@dataclass(frozen=True, slots=True)
class InFlight:
    """`heads`: the Region's own. `waiting`: those that anybody may claim, of another Region too that it answers for."""

    heads: Sequence[Head]
    waiting: Sequence[Head]

    def figures(self, now: float) -> dict[str, float]:
        """For CloudWatch."""
        oldest = max((now - head.accepted_at for head in self.waiting), default=0.0)
        return {
            "RequestsOpen": len(self.heads),
            "RequestsWaiting": len(self.waiting),
            "OldestWaitingSeconds": oldest,
        }

    def document(self, now: float) -> dict[str, Any]:
        """What a backup keeps of them: no text of prompt or answer, which stay in the table until they expire.

        Of `MOST_NAMED` at most, the oldest: it goes through an execution's state, which holds 256 KB.
        """
        return {
            "at": now,
            "open": [
                {
                    "request_id": head.request_id,
                    "state": str(head.state),
                    "token": head.token,
                    "owner": head.owner,
                    "accepted_at": head.accepted_at,
                }
                for head in self.heads[:MOST_NAMED]
            ],
            "left_out": max(0, len(self.heads) - MOST_NAMED),
            "waiting": len(self.waiting),
        }


async def look(requests: RequestJournal, own: str, scopes: Collection[str], now: float) -> InFlight:
    """What is in flight in this Region now. What waits is of all Regions that it answers for (`scopes`)."""
    heads = [head for scope in sorted({own, *scopes}) for head in await requests.open_heads(scope)]
    alive = await requests.gateways({head.owner for head in heads})
    waiting = [head for head in journal.claimable(heads, alive, own, now) if head.scope in scopes]
    return InFlight([head for head in heads if head.scope == own], waiting)


def scopes_of(own: str, config: FleetConfig, store: RegionStore, now: float) -> list[str]:
    """The Regions whose requests this one answers now. None while the record of the Regions is not to be read.

    Cut off from the others it may be condemned and not know it: unknown is no permission.
    """
    try:
        record = store.read_regions()
    except TransientError:
        return []
    return request_copies.answered_by(own, list(config.regions), record, now)
