"""Stand-ins for the ports of models, with the ports' own semantics."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from standfast.errors import ConflictError, ModelDamagedError
from standfast.golden import Golden
from standfast.golden_store import GoldenAnswers
from standfast.model_states import ModelRecord
from standfast.replication import Stored
from tests.fakes import Faults


def checksum(body: bytes) -> str:
    """What this store takes for S3's checksum: any that differs with every byte will do."""
    return base64.b64encode(hashlib.blake2b(body, digest_size=8).digest()).decode()


class FakeModelStore:
    """One dictionary. `others` are the buckets that can be copied from; `plain` keys have no checksum of the whole.

    `rules`: bucket and prefix of each replication rule of S3, `statuses` what S3 says of a key that one of them took.
    """

    def __init__(self, objects: Mapping[str, bytes] | None = None, others: Mapping[str, FakeModelStore] | None = None):
        self.objects = dict(objects or {})
        self.others = dict(others or {})
        self.plain: set[str] = set()
        self.rules: set[tuple[str, str]] = set()
        self.statuses: dict[str, str] = {}
        self.uploads: list[str] = []
        self.copied: list[str] = []
        self.faults = Faults()
        self.calls = 0

    def list_folder(self, prefix: str) -> Mapping[str, int]:
        self._call("list_folder")
        return {key: len(body) for key, body in self.objects.items() if key.startswith(prefix)}

    def describe(self, key: str) -> Stored | None:
        self._call("describe")
        body = self.objects.get(key)
        if body is None:
            return None
        etag = hashlib.md5(body).hexdigest()  # noqa: S324
        return Stored(len(body), "" if key in self.plain else checksum(body), etag, self.statuses.get(key, ""))

    def replicates_to(self, bucket: str, prefix: str) -> bool:
        self._call("replicates_to")
        return any(bucket == to and prefix.startswith(under) for to, under in self.rules)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes | None:
        self._call("read")
        body = self.objects.get(key)
        return None if body is None else body[start : None if length is None else start + length]

    def chunks(self, key: str, etag: str) -> Iterator[bytes]:
        self._call("chunks")
        if (found := self.describe(key)) is None or found.etag != etag:
            raise ConflictError(f"{key} was changed meanwhile")
        body = self.objects[key]
        yield from (body[at : at + 1000] for at in range(0, len(body), 1000))

    def write(self, key: str, body: bytes) -> None:
        self._call("write")
        self.objects[key] = body

    def write_once(self, key: str, body: bytes) -> bool:
        self._call("write_once")
        return self.objects.setdefault(key, body) is body

    def copy(self, source_bucket: str, key: str, size: int, crc64nvme: str = "") -> str:
        self._call("copy")
        self.faults.check(f"copy {key}")
        source = self.others.get(source_bucket, self)
        if key not in source.objects:
            raise ModelDamagedError(f"{key} is no longer in {source_bucket}")
        self.objects[key] = source.objects[key]
        self.plain.discard(key)
        self.copied.append(key)
        found = checksum(self.objects[key])
        if crc64nvme and found != crc64nvme:
            raise ModelDamagedError(f"the copy of {key} has {found}, the manifest says {crc64nvme}")
        return found

    def abort_uploads(self, prefix: str, *, keep: Collection[str]) -> int:
        self._call("abort_uploads")
        given_up = [key for key in self.uploads if key.startswith(prefix) and key not in keep]
        self.uploads = [key for key in self.uploads if key not in given_up]
        return len(given_up)

    def _call(self, method: str) -> None:
        self.calls += 1
        self.faults.check(method)


class FakeModelStates:
    """One dictionary, by model and version."""

    def __init__(self, *records: ModelRecord) -> None:
        self.records = {(record.model, record.version): record for record in records}

    def read_model(self, model: str, version: str | None) -> ModelRecord | None:
        return self.records.get((model, version))

    def models(self) -> Sequence[ModelRecord]:
        return list(self.records.values())

    def write_model(self, record: ModelRecord) -> ModelRecord:
        known = self.records.get((record.model, record.version))
        if record.revision != (known.revision if known else 0):
            raise ConflictError("it is at another revision")
        self.records[record.model, record.version] = replace(record, revision=record.revision + 1)
        return self.records[record.model, record.version]


class FakeGoldenStore:
    """One dictionary, by model and version."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str | None], GoldenAnswers] = {}

    def read_golden(self, model: str, version: str | None) -> Sequence[Golden]:
        found = self.kept.get((model, version))
        return found.answers if found else ()

    def write_golden(self, golden: GoldenAnswers) -> None:
        self.kept[golden.model, golden.version] = golden
