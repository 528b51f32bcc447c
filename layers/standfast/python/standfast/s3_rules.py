"""Whether a Region goes on waiting for what S3's own replication rule is to bring, or copies it itself.

S3 keeps one status an object, at its source, for all destinations together: PENDING until the last has it, FAILED when
one has failed, and then for good, for S3 tries no failed object again; a destination that is away leaves it PENDING. An
object that was written before the rule has no status, and none is replicated twice (S3 user guide, "Getting replication
status information" and "What does Amazon S3 replicate?"). So a status alone proves nothing: what is right *here*, by
size and checksum, is through, whatever its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.replication import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class S3Status(StrEnum):
    """What S3 says of an object at its source. NONE: the rule did not take it."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    NONE = ""

    @classmethod
    def read(cls, text: str) -> S3Status:
        """As HeadObject tells it. An object that is a replica itself is not replicated on: NONE."""
        return cls(text) if text in (cls.PENDING, cls.COMPLETED, cls.FAILED) else cls.NONE


class Action(StrEnum):
    """What to do about the objects that are not right here yet."""

    WAIT = "wait"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a Region waits, in seconds.

    `unmarked`: for S3 to take an object on; it marks one when it is written. `stalled`: for the next object to come, as
    long as S3 takes for 99.99 % of all objects (S3 Replication Time Control), and for 40 GB, the largest, at 50 MB/s.
    """

    unmarked: float = 60.0
    stalled: float = 900.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Path -> status at the source, of every object that is due and not right here. `due`: how many were at first.

    `progressed_at`: when one was found to have come last, `began_at` before the first.
    """

    missing: Mapping[str, S3Status]
    due: int
    began_at: float
    progressed_at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """WAIT, or COPY all that is missing, which may be nothing. `reason` names the objects by what S3 says of them."""

    action: Action
    reason: str


def decide(evidence: Evidence, limits: Limits, now: float) -> Decision:
    """Wait while S3 may still bring an object; then copy what it did not, all at once."""
    by = {status: sorted(p for p, found in evidence.missing.items() if found is status) for status in S3Status}
    brought = f"S3 brought {evidence.due - len(evidence.missing)} of {evidence.due} objects"
    if not evidence.missing:
        return Decision(Action.COPY, brought)
    idle, waited = now - evidence.progressed_at, now - evidence.began_at
    may_come = bool(by[S3Status.PENDING]) and idle < limits.stalled
    hopes = may_come or (bool(by[S3Status.NONE]) and waited < limits.unmarked)
    told = (
        (S3Status.PENDING, "PENDING" if hopes else f"PENDING with none coming for {idle:.0f} s"),
        (S3Status.FAILED, "FAILED"),
        (S3Status.NONE, "not begun" if hopes else f"not begun after {waited:.0f} s"),
        (S3Status.COMPLETED, "COMPLETED and not right here"),
    )
    said = ", ".join(f"{len(by[status])} {words} ({_named(by[status])})" for status, words in told if by[status])
    if hopes:
        return Decision(Action.WAIT, f"{brought}; waiting, with {said}")
    return Decision(Action.COPY, f"{brought}; copied by us: {said}")


def counted(statuses: Iterable[S3Status]) -> dict[str, int]:
    """How many of each, by name in lower case."""
    found = list(statuses)
    return {each.name.lower(): found.count(each) for each in S3Status if each in found}


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
