"""Requests that another Region can answer: what of a request journal is copied, and who answers for whom. Pure.

Each Region keeps its own table, with its own key, and its stream has every change written once more in the next
Region's table. A copy says whose it is (`copy_of`), so that it is not copied on. While a Region is condemned the next
one answers for it, on its copies: its claims are conditional in its own table, and mark the head (`taken_by`), which
nothing that the lost Region still says can change any more. How such a request ended is copied back.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from standfast.errors import CorruptStateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.region_ports import RegionRecord

Item: TypeAlias = "Mapping[str, Any]"
"""As DynamoDB writes it: name -> {"S": text}."""
HEAD: Final = "HEAD"
CLOSED: Final = frozenset({"ended", "incomplete"})
SETTLED_SECONDS: Final = 330.0
"""A run of `answer_requests` that began before a Region came back has ended by then, and its ends are copied home."""
_EXPIRED: Final = "dynamodb.amazonaws.com"
"""Who deletes what has expired: DynamoDB guide, "DynamoDB Streams and Time to Live". The copy expires by itself."""


def next_region(region: str, regions: Sequence[str]) -> str:
    """Who answers for a Region that is lost: the one behind it in the FleetConfig, empty where it is the only one."""
    others = [*regions[regions.index(region) + 1 :], *regions[: regions.index(region)]] if region in regions else []
    return others[0] if others else ""


def answered_by(own: str, regions: Sequence[str], record: RegionRecord, now: float) -> list[str]:
    """The Regions whose requests are this one's to answer now: its own, and those of whom it is the next.

    None while it is condemned itself, and for a while after: another one answers then, and may still be at it; and an
    answer that was given never changes.
    """
    condemned = record.condemned_now(now)
    if own in condemned or now - record.returned.get(own, 0.0) < SETTLED_SECONDS:
        return []
    return [own, *(name for name in regions if name in condemned and next_region(name, regions) == own)]


@dataclass(frozen=True, slots=True)
class Copies:
    """What a batch of a stream comes to. `heads` after `parts`: a head without its body could only be given up.

    `parts` are bodies, pieces and signs of life. `forgotten`: requests that were never accepted, by partition.
    `settled`: heads of another Region's requests that this one has ended, by whose they are.
    """

    parts: Sequence[Item]
    heads: Sequence[Item]
    forgotten: Sequence[str]
    settled: Mapping[str, Sequence[Item]]
    oldest_at: float


@dataclass(slots=True)
class _Batch:
    parts: dict[tuple[str, str], Item] = field(default_factory=dict)
    heads: dict[str, Item] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    settled: dict[str, dict[str, Item]] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any], own: str) -> None:
        written = record["dynamodb"]
        pk, sk = written["Keys"]["pk"]["S"], written["Keys"]["sk"]["S"]
        if record["eventName"] == "REMOVE":
            if sk == HEAD and record.get("userIdentity", {}).get("principalId") != _EXPIRED:
                self.heads.pop(pk, None)
                self.forgotten.add(pk)
            return
        item = {name: _as_item(value) for name, value in written["NewImage"].items()}
        if "copy_of" in item:
            if sk == HEAD and item.get("taken_by", {}).get("S") == own and item["state"]["S"] in CLOSED:
                self.settled.setdefault(item["copy_of"]["S"], {})[pk] = item
        elif pk.startswith(("REQUEST#", "GATEWAY#")):
            copied = {**item, "copy_of": {"S": own}}
            if sk == HEAD:
                self.heads[pk] = copied
                self.forgotten.discard(pk)
            else:
                self.parts[pk, sk] = copied


def _as_item(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An attribute as DynamoDB's client takes it: an event is JSON, in which bytes are base64."""
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def copies_of(event: Mapping[str, Any], own: str) -> Copies:
    """What is to be copied of a stream's event: of each item what it is last.

    Raises CorruptStateError for what is no record of the request table's stream.
    """
    batch = _Batch()
    try:
        records = event["Records"]
        for record in records:
            batch.add(record, own)
        oldest_at = min(float(record["dynamodb"]["ApproximateCreationDateTime"]) for record in records)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptStateError(f"this is no record of a DynamoDB stream with new images: {error!r}") from error
    return Copies(
        parts=list(batch.parts.values()),
        heads=list(batch.heads.values()),
        forgotten=sorted(batch.forgotten),
        settled={home: list(heads.values()) for home, heads in batch.settled.items()},
        oldest_at=oldest_at,
    )
