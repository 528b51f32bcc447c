"""What is in flight in a Region at a moment: the requests that are open, and those of them that nobody has. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from standfast import journal
from standfast.journal import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.journal import Head
    from standfast.journal_ports import RequestJournal


MOST_NAMED: Final = 800


@dataclass(frozen=True, slots=True)
class InFlight:
    """`waiting`: those of `heads` that anybody may claim."""

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


async def look(requests: RequestJournal, scope: str, now: float) -> InFlight:
    """What is in flight now."""
    heads = await requests.open_heads(scope)
    alive = await requests.gateways({head.owner for head in heads})
    waiting = [
        head
        for head in heads
        if journal.may_claim(head, journal.lives(head.owner, alive, now), now).action is Action.CLAIM
    ]
    return InFlight(heads, waiting)
