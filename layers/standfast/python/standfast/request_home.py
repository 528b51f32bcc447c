"""In which Region a request is answered, when the journal is replicated without waiting. Pure.

A conditional write is atomic in one Region's replica only, and of two writes to one item the later one stays. So each
item has one Region that writes it. The *home* of a request is the Region that accepted it. Another one never writes
the home's head: it *takes* the request by a head of its own, under the version of the Regions' record that says that
the home is out. That record is strongly consistent, its versions grow and are written under a lease. A reader goes by
the newest head that it knows, so what the home writes late is read by nobody. Times are seconds since the epoch.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from standfast.journal import Action, Decision, State, version_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from standfast.journal import Head
    from standfast.region_ports import RegionRecord

LAG_SECONDS: Final = 10.0
"""So old may be what a replica shows of another Region's signs of life. AWS: "typically within a second or less"."""
UNSEEN_SECONDS: Final = 60.0
"""A gateway of a Region that is out, of which no sign of life came for so long, gave none."""
RUN_SECONDS: Final = 300.0 + LAG_SECONDS
"""So long after a Region is back, a run of another one that read otherwise may still take: the function's limit."""


class Place(StrEnum):
    """Whether a request is this Region's to answer. LOOK: if no other Region took it, by a head that is here."""

    OURS = "ours"
    LOOK = "look"
    NOT_OURS = "not ours"


def heir_of(region: str, record: RegionRecord, serving: Collection[str]) -> str:
    """The one Region that takes what a condemned one had; empty where none is left.

    It depends on nothing that changes without a new version: a condemnation that lapsed, or was kept fresh, still
    counts. So no two Regions are chosen under one version.
    """
    return min(set(serving) - set(record.condemned) - {region}, default="")


def may_take(
    head: Head,
    here: str,
    alive_until: float | None,
    record: RegionRecord,
    *,
    read_at: float,
    serving: Collection[str],
    now: float,
) -> Decision:
    """Whether this Region takes a request of another one. `record` was read strongly: unknown is no permission.

    What was accepted after `read_at`, when it was read, is left: the home may be back by then.

    `alive_until`: the gateway's last sign of life that came here, None where none came.
    """
    condemned = record.condemned.get(head.scope)
    if head.scope == here or not head.state.is_open:
        return Decision(Action.LEAVE, f"it is {head.state}, and {head.scope}'s")
    if condemned is None or not condemned.holds(now):
        return Decision(Action.LEAVE, f"{head.scope} is not condemned")
    if head.accepted_at > read_at:
        return Decision(Action.LEAVE, f"it came after the record was read, and {head.scope} may be back")
    heir = heir_of(head.scope, record, serving)
    if heir != here:
        return Decision(Action.LEAVE, f"{heir or 'nobody'} takes what {head.scope} had")
    if head.state is State.INTERRUPTED:
        return Decision(Action.CLAIM, f"{head.owner} said that it was cut off, and {head.scope} is condemned")
    if head.state is State.CLAIMED:
        until, who = head.claimed_until, head.owner
    else:
        until = condemned.condemned_at + UNSEEN_SECONDS if alive_until is None else alive_until
        who = f"gateway {head.owner}"
    if now <= until + LAG_SECONDS:
        return Decision(Action.LEAVE, f"{who} may be at work on it until {until:.0f}, and what it says takes its time")
    return Decision(Action.CLAIM, f"{who} has said nothing since {until:.0f}, and {head.scope} is condemned")


def place_of(head: Head, here: str, record: RegionRecord, marks: Collection[float], now: float) -> Place:
    """Whether a head of this Region is still its own to claim. `record` was read strongly: unknown is no permission.

    `marks`: when each other Region that serves last wrote its mark into the table, as far as it came here, 0 where none
    did. After a return nothing that is old is touched until all were heard of since the last run that may have taken
    it: time alone is no proof, for whoever took it may have been cut off since.
    """
    out, back = record.condemned.get(here), record.returned.get(here)
    if head.scope != here or (out is not None and out.holds(now - LAG_SECONDS)):
        return Place.NOT_OURS
    if out is not None:  # it lapsed, and nobody can keep it fresh any more: as good as lifted
        back = out.valid_until
    if back is None or (version_of(head.token) == 0 and head.accepted_at > back + LAG_SECONDS):
        return Place.OURS
    return Place.LOOK if all(mark > back + RUN_SECONDS for mark in marks) else Place.NOT_OURS
