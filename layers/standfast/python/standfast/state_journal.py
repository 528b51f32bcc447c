"""The state journal: what changed in the state tables, in small immutable pieces, and the state that they come to.

A *piece* is one object in the backup bucket: the changes of one batch of a table's stream, sealed by a SHA-256. State
at a moment is a snapshot with the changes after it. A change says what its item was before, so a change that is missing
is found: the next one of the same item does not fit. A piece that is damaged, and a time in which nothing at all was
written, are named too. Items stay as DynamoDB writes them (`{"S": "text"}`): nothing is lost in between.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from standfast.errors import InvalidInputError, JournalDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SCHEMA = 1
KIND = "standfast state journal"
HOUR_SECONDS = 3600
MARGIN_SECONDS = 2.0
"""ApproximateCreationDateTime is in whole seconds (DynamoDB API reference, StreamRecord), and clocks differ."""
QUIET_SECONDS = 120.0
"""A Region that works writes its verdicts every 10 s and its sight every second: silence this long is a finding."""


@dataclass(frozen=True, slots=True, order=True)
class ItemKey:
    """Which item: the table's name, partition and name."""

    table: str
    pk: str
    sk: str

    def __str__(self) -> str:
        return f"{self.table} {self.pk} {self.sk}"


@dataclass(frozen=True, slots=True)
class Change:
    """One write of one item. `old` None: it was not there; `new` None: it was deleted. `at`: whole seconds.

    `sequence` is DynamoDB's sequence number: a later change of the same item has a greater one.
    """

    key: ItemKey
    sequence: int
    at: float
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Piece:
    """The changes of one object, all of one table and one hour, in the order of the stream. `key`: the object's key."""

    key: str
    fleet: str
    region: str
    table: str
    changes: tuple[Change, ...]

    @property
    def first(self) -> Change:
        """The first change: a piece is never empty."""
        return self.changes[0]

    @property
    def last(self) -> Change:
        """The last change."""
        return self.changes[-1]


@dataclass(frozen=True, slots=True)
class DamagedPiece:
    """A piece that cannot be used. `since`: when the hour began that its key names."""

    key: str
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All items, read one after the other from `began_at` to `ended_at`: each is as it was at some moment between."""

    items: Mapping[ItemKey, Mapping[str, Any]]
    began_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Gap:
    """What the journal cannot say: from `since` to `until`. `reason` is a sentence that names it."""

    since: float
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The state at a moment. With a gap it is no more than the best that is known.

    `last_change_at`: the newest change that was applied, None without one; `changes`: how many were.
    """

    items: Mapping[ItemKey, Mapping[str, Any]]
    moment: float
    changes: int
    last_change_at: float | None
    gaps: tuple[Gap, ...]


def seal(fleet: str, region: str, table: str, changes: Sequence[Change]) -> str:
    """The text of a piece, with the SHA-256 of what is in it."""
    body = {
        "kind": KIND,
        "schema": SCHEMA,
        "fleet": fleet,
        "region": region,
        "table": table,
        "changes": [
            {"pk": each.key.pk, "sk": each.key.sk, "sequence": str(each.sequence), "at": each.at, "old": each.old,
             "new": each.new}
            for each in changes
        ],
    }  # fmt: skip
    return json.dumps({**body, "sha256": _digest(body)}, sort_keys=True, separators=(",", ":"))


def unseal(key: str, text: str) -> Piece:
    """A piece from its text. Raises JournalDamagedError that says what is wrong with it."""
    try:
        body = json.loads(text)
        said = body.pop("sha256")
        if (body["kind"], body["schema"]) != (KIND, SCHEMA):
            raise JournalDamagedError(
                f"{key} is a {body['kind']!r} of schema {body['schema']!r}; this release knows {KIND!r} of {SCHEMA}"
            )
        if _digest(body) != said:
            raise JournalDamagedError(f"{key} does not have the SHA-256 that it names")
        table = body["table"]
        changes = tuple(
            Change(ItemKey(table, each["pk"], each["sk"]), int(each["sequence"]), float(each["at"]), each["old"],
                   each["new"])
            for each in body["changes"]
        )  # fmt: skip
        if not changes:
            raise JournalDamagedError(f"{key} holds no change")
        return Piece(key, body["fleet"], body["region"], table, changes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalDamagedError(f"{key} cannot be read: {error!r}") from error


def by_hour(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """The changes in groups that stay within an hour: a piece lies in the folder of its hour, and holds no other."""
    group: list[Change] = []
    for change in changes:
        if group and change.at // HOUR_SECONDS != group[0].at // HOUR_SECONDS:
            yield tuple(group)
            group = []
        group.append(change)
    if group:
        yield tuple(group)


def replay(
    snapshot: Snapshot,
    pieces: Iterable[Piece | DamagedPiece],
    moment: float,
    *,
    quiet_seconds: float = QUIET_SECONDS,
) -> Replayed:
    """The state at a moment: the snapshot with every change up to then, that second included.

    `pieces` in any order, twice or not, as long as those from `reads_from(snapshot)` on are there. Raises
    InvalidInputError for a moment before the snapshot was complete.
    """
    if moment < snapshot.ended_at:
        raise InvalidInputError(
            f"moment {moment:.0f} is before the snapshot was complete ({snapshot.ended_at:.0f}): take an older snapshot"
        )
    damaged, histories = _sorted_out(pieces, reads_from(snapshot), moment)
    items, gaps = dict(snapshot.items), [Gap(each.since, each.since + HOUR_SECONDS, each.reason) for each in damaged]
    for key, history in histories.items():
        gaps += _misfits(snapshot, key, history)
        last = history[-1].new
        if last is None:
            items.pop(key, None)
        else:
            items[key] = last
    times = sorted({change.at for history in histories.values() for change in history})
    gaps += _silences(snapshot.ended_at, times, moment, quiet_seconds)
    return Replayed(
        items=items,
        moment=moment,
        changes=sum(map(len, histories.values())),
        last_change_at=times[-1] if times else None,
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.since, gap.reason))),
    )


def reads_from(snapshot: Snapshot) -> float:
    """From when on the journal is wanted: a change while the snapshot was read may be in it or not."""
    return snapshot.began_at - MARGIN_SECONDS


def _sorted_out(
    pieces: Iterable[Piece | DamagedPiece], since: float, until: float
) -> tuple[list[DamagedPiece], dict[ItemKey, list[Change]]]:
    """What is damaged, and each item's changes within the time, once each, in order."""
    damaged: list[DamagedPiece] = []
    found: defaultdict[ItemKey, dict[int, Change]] = defaultdict(dict)
    for piece in pieces:
        if isinstance(piece, DamagedPiece):
            damaged.append(piece)
            continue
        for change in piece.changes:
            if since <= change.at <= until:
                found[change.key][change.sequence] = change
    return damaged, {key: [changes[number] for number in sorted(changes)] for key, changes in found.items()}


def _misfits(snapshot: Snapshot, key: ItemKey, history: Sequence[Change]) -> Iterator[Gap]:
    """Where an item was not what the next change says that it had been: a change between them is missing."""
    stood = snapshot.items.get(key)
    while_read = [change for change in history if change.at <= snapshot.ended_at + MARGIN_SECONDS]
    first = history[0]
    if stood != first.old and all(stood != change.new for change in while_read):
        yield Gap(
            snapshot.began_at,
            first.at,
            f"{key} was changed between the snapshot and {first.at:.0f}, and no piece says how",
        )
    for before, after in pairwise(history):
        if before.new != after.old:
            yield Gap(
                before.at,
                after.at,
                f"{key} was changed between {before.at:.0f} and {after.at:.0f}, and no piece says how",
            )


def _silences(since: float, times: Sequence[float], until: float, quiet_seconds: float) -> Iterator[Gap]:
    marks = [since, *(at for at in times if at > since), until]
    for before, after in pairwise(marks):
        if after - before > quiet_seconds:
            yield Gap(
                before,
                after,
                f"nothing was written for {after - before:.0f} s from {before:.0f} on: "
                "the Region did nothing, or the journal did not hear of it",
            )


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
