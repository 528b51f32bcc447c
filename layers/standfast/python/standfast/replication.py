"""What of a model is missing in a Region, in which batches it is copied, and whether what is there is the model.

A copy is right when its size and its CRC64NVME over the full object are the manifest's: S3 keeps no SHA-256 of an
object that came in parts (S3 user guide, "Checking object integrity"). SHA-256 is checked at registration and at load.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.manifest import Manifest, ModelObject

SINGLE_COPY_BYTES = 5 * 1024**3
"""CopyObject takes no more (S3 API reference, CopyObject)."""
PART_BYTES = 512 * 1024**2
"""A part of a larger one: 10,000 of these, the most that an upload has, are the 5 TB that S3 takes as an object."""
MOST_HASHED_BYTES = 40_000_000_000
"""One function reads an object from end to end in its 15 minutes, at 50 MB/s and with a reserve of 100 s."""
BATCH_OBJECTS = 20
BATCH_BYTES = 20_000_000_000
MOST_BATCHES = 400
"""A machine's state holds 256 KB, and so the batches' results."""
NAMED = 5


class Damage(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    SIZE = "of another size"
    BYTES = "with other bytes"
    UNREADABLE = "with a header that cannot be read"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as S3 tells of it. `crc64nvme` is empty where S3 has none of the full object.

    `replication` is S3's ReplicationStatus, empty where no replication rule took the object.
    """

    size: int
    crc64nvme: str
    etag: str = ""
    replication: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects of a work list: from `first`, so many."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is. `eta_seconds` is None while there is no rate to tell it by."""

    objects: int
    objects_in_all: int
    bytes: int
    bytes_in_all: int
    bytes_per_second: float
    eta_seconds: float | None


def damages(manifest: Manifest, found: Mapping[str, Stored]) -> dict[str, Damage]:
    """Path -> what is wrong with it, of every object that is not the manifest's. `found` is by S3 key."""
    wrong: dict[str, Damage] = {}
    for key, expected in manifest.by_key().items():
        damage = _damage(expected, found.get(key))
        if damage is not None:
            wrong[expected.path] = damage
    return wrong


def _damage(expected: ModelObject, found: Stored | None) -> Damage | None:
    if found is None:
        return Damage.MISSING
    if found.size != expected.size:
        return Damage.SIZE
    return None if found.crc64nvme == expected.crc64nvme else Damage.BYTES


def in_words(wrong: Mapping[str, Damage]) -> str:
    """What is wrong, by kind, the first few paths of each: `2 missing (a, b), 1 with other bytes (c)`."""
    said = []
    for kind in Damage:
        paths = sorted(path for path, damage in wrong.items() if damage is kind)
        if paths:
            more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
            said.append(f"{len(paths)} {kind} ({', '.join(paths[:NAMED])}{more})")
    return ", ".join(said)


def by_kind(wrong: Mapping[str, Damage]) -> dict[str, int]:
    """How many of each kind, by its name in lower case."""
    kinds = list(wrong.values())
    return {kind.name.lower(): kinds.count(kind) for kind in Damage if kind in kinds}


def batches(sizes: Sequence[int]) -> tuple[Batch, ...]:
    """Objects of these sizes in batches that one function can copy: few objects, and not too many bytes.

    An object that is larger than a batch is one of its own. No more than MOST_BATCHES, so that their results fit.
    """
    most_objects = max(BATCH_OBJECTS, -(-len(sizes) // MOST_BATCHES) * 2)
    most_bytes = max(BATCH_BYTES, sum(sizes) * 2 // MOST_BATCHES)
    found: list[Batch] = []
    first, total = 0, 0
    for number, size in enumerate(sizes):
        if number > first and (number - first == most_objects or total + size > most_bytes):
            found.append(Batch(first, number - first))
            first, total = number, 0
        total += size
    return (*found, Batch(first, len(sizes) - first)) if sizes else ()


def part_ranges(size: int, part_bytes: int = PART_BYTES) -> tuple[tuple[int, int], ...]:
    """First and last byte of each part of an object, the last one included as HTTP counts."""
    return tuple((begin, min(begin + part_bytes, size) - 1) for begin in range(0, size, part_bytes))


def progress(manifest: Manifest, present: Mapping[str, int], *, bytes_before: int, seconds: float) -> Progress:
    """How far a copy is after so many seconds. `present` is key -> size of what lies in the folder by now.

    An object of another size does not count: it is still to be replaced.
    """
    there = [each for key, each in manifest.by_key().items() if present.get(key) == each.size]
    done = sum(each.size for each in there)
    rate = max(0.0, (done - bytes_before) / seconds) if seconds > 0 else 0.0
    left = manifest.bytes - done
    eta = 0.0 if left == 0 else left / rate if rate else None
    return Progress(len(there), len(manifest.objects), done, manifest.bytes, rate, eta)
