"""Snapshots of a Region's control state: what is in one, how it is sealed, and which of those that are there is good.

A snapshot is a folder of the backup bucket, `snapshots/<Region>/YYYY/MM/DD/THHMMSSZ-<seq>/`, by the moment of its cut.
Its parts are written first, each under If-None-Match; last its manifest, which names every part with size and SHA-256
and itself: a folder without one was never finished. Restored is the newest *good* snapshot, which need not be the
newest. Whoever may write the bucket and knows this page can make a snapshot that is taken for good: against that stand
the bucket's lock and its policy, not the hashes. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from standfast.errors import BackupRefusedError
from standfast.state_journal import ItemKey, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SCHEMA: Final = 1
KIND: Final = "standfast snapshot"
MANIFEST: Final = "manifest.json"
PARTS: Final = ("state", "models", "configuration", "traffic", "requests", "metrics")
"""state: every item of the state tables as DynamoDB has it. models: the manifests of the models that the Region knows.
configuration: the text of the synced version. traffic: roles and weights, wanted and found on the rule. requests: those
in flight, by id. metrics: what was last measured."""
SKEW_SECONDS: Final = 300.0
"""A cut so far after now is no clock's error."""
DAY_SECONDS: Final = 86_400
KEPT_DAYS: Final = 30
_ID: Final = re.compile(r"^(\d{4}/\d{2}/\d{2}/T\d{6}Z)-(\d{4,})$")


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a snapshot. `sha256` hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot consists of. The cut was taken from `began_at` to `ended_at`; `snapshot_id` is its folder."""

    fleet: str
    region: str
    snapshot_id: str
    began_at: float
    ended_at: float
    parts: tuple[Part, ...]

    def seal(self) -> bytes:
        """The text that is kept: canonical JSON with the SHA-256 of what it says."""
        body = {
            "kind": KIND,
            "schema": SCHEMA,
            "fleet": self.fleet,
            "region": self.region,
            "snapshot_id": self.snapshot_id,
            "began_at": float(self.began_at),
            "ended_at": float(self.ended_at),
            "parts": [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in self.parts],
        }
        return _canonical({**body, "sha256": hashlib.sha256(_canonical(body)).hexdigest()})


@dataclass(frozen=True, slots=True)
class Opened:
    """A good snapshot: its manifest, the SHA-256 of the manifest's text, and every part as it was written."""

    manifest: Manifest
    sha256: str
    contents: Mapping[str, Any]

    @property
    def cut(self) -> Snapshot:
        """The tables, as the state journal is replayed upon them."""
        rows = self.contents["state"]["items"]
        items = {ItemKey(table, pk, sk): item for table, pk, sk, item in rows}
        return Snapshot(items, self.manifest.began_at, self.manifest.ended_at)


@dataclass(frozen=True, slots=True)
class Refused:
    """A snapshot that is not restored, and why in a sentence."""

    snapshot_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The newest good snapshot, None where none is, and what was refused on the way to it."""

    opened: Opened | None
    refused: tuple[Refused, ...]


def snapshot_id(began_at: float, sequence: int) -> str:
    """`2026/11/26/T131500Z-0001`."""
    return f"{datetime.fromtimestamp(began_at, UTC):%Y/%m/%d/T%H%M%SZ}-{sequence:04d}"


def moment_of(name: str) -> float | None:
    """When the cut was taken that has this id, in whole seconds; None where it is no id of ours."""
    found = _ID.match(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y/%m/%d/T%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def day_of(at: float) -> str:
    """The folder of the day that a moment is in, `YYYY/MM/DD`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y/%m/%d}"


def in_words(at: float) -> str:
    """A moment for people: `2026-11-26 13:15:00 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def folder(region: str, name: str) -> str:
    """The keys' prefix of one snapshot."""
    return f"snapshots/{region}/{name}/"


def part_key(region: str, name: str, part: str) -> str:
    """The key of a part."""
    return f"{folder(region, name)}{part}.json"


def manifest_key(region: str, name: str) -> str:
    """The key of the manifest."""
    return f"{folder(region, name)}{MANIFEST}"


def sealed_part(name: str, content: Mapping[str, Any]) -> tuple[Part, bytes]:
    """A part's text and how the manifest names it."""
    text = _canonical({"schema": SCHEMA, "part": name, **content})
    return Part(name, len(text), hashlib.sha256(text).hexdigest()), text


def state_content(items: Mapping[ItemKey, Mapping[str, Any]]) -> dict[str, Any]:
    """The content of the part `state`."""
    rows = [[key.table, key.pk, key.sk, item] for key, item in sorted(items.items(), key=lambda pair: pair[0])]
    return {"items": rows}


def open_snapshot(name: str, read: Callable[[str], bytes | None], *, fleet: str, region: str, now: float) -> Opened:
    """A snapshot with all of its parts, every byte verified. `read` answers an object by its key, None for none.

    Raises BackupRefusedError with a sentence for one that is partial, tampered with, of another fleet or Region, of
    another schema, from the future, or an older one's manifest in a newer one's place.
    """
    text = read(manifest_key(region, name))
    if text is None:
        raise BackupRefusedError(f"{name} has no manifest: it was never finished")
    manifest = _manifest(name, text)
    _check_place(name, manifest, fleet=fleet, region=region, now=now)
    contents = {}
    for part in manifest.parts:
        body = read(part_key(region, name, part.name))
        if body is None:
            raise BackupRefusedError(f"{name} is partial: its part {part.name} is missing")
        if (len(body), hashlib.sha256(body).hexdigest()) != (part.size, part.sha256):
            raise BackupRefusedError(f"{name} was tampered with: its part {part.name} is not what the manifest names")
        contents[part.name] = _content(name, part.name, body)
    return Opened(manifest, hashlib.sha256(text).hexdigest(), contents)


def newest_good(names: Iterable[str], open_it: Callable[[str], Opened]) -> Found:
    """The first of these, newest first, that can be opened. `open_it` raises BackupRefusedError."""
    refused: list[Refused] = []
    for name in names:
        try:
            return Found(open_it(name), tuple(refused))
        except BackupRefusedError as error:
            refused.append(Refused(name, str(error)))
    return Found(None, tuple(refused))


def _manifest(name: str, text: bytes) -> Manifest:
    try:
        body = json.loads(text)
        kind, schema = body["kind"], body["schema"]
        if kind == KIND and schema != SCHEMA:
            raise BackupRefusedError(f"{name} is of schema {schema!r}; this release knows {SCHEMA}")
        manifest = Manifest(
            body["fleet"],
            body["region"],
            body["snapshot_id"],
            float(body["began_at"]),
            float(body["ended_at"]),
            tuple(Part(each["name"], each["size"], each["sha256"]) for each in body["parts"]),
        )
        is_as_sealed = manifest.seal() == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupRefusedError(f"{name} was tampered with: its manifest cannot be read ({error!r})") from error
    if not is_as_sealed:
        raise BackupRefusedError(f"{name} was tampered with: its manifest does not have the SHA-256 that it names")
    return manifest


def _check_place(name: str, manifest: Manifest, *, fleet: str, region: str, now: float) -> None:
    if manifest.fleet != fleet:
        raise BackupRefusedError(f"{name} is foreign: it is of the fleet {manifest.fleet}, not of {fleet}")
    if manifest.region != region:
        raise BackupRefusedError(f"{name} is foreign: it is of {manifest.region}, not of {region}")
    moment = moment_of(name)
    if manifest.snapshot_id != name or moment != manifest.began_at // 1:
        raise BackupRefusedError(
            f"{name} is a replayed one: its manifest is of {manifest.snapshot_id}, cut at {manifest.began_at:.0f}"
        )
    if manifest.ended_at > now + SKEW_SECONDS:
        raise BackupRefusedError(f"{name} is from the future: its cut ends {manifest.ended_at - now:.0f} s from now")
    if manifest.ended_at < manifest.began_at:
        raise BackupRefusedError(f"{name} is none: its cut ends before it begins")
    if sorted(each.name for each in manifest.parts) != sorted(PARTS):
        raise BackupRefusedError(f"{name} is partial: its parts are not {', '.join(PARTS)}")


def _content(name: str, part: str, body: bytes) -> Any:
    try:
        content = json.loads(body)
        said = (content["schema"], content["part"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackupRefusedError(f"{name} cannot be understood: its part {part} is no JSON of ours") from error
    if said != (SCHEMA, part):
        raise BackupRefusedError(f"{name}: its part {part} says that it is {said[1]!r} of schema {said[0]!r}")
    return content


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
