"""The steps of `register_model`: a folder is listed, read from end to end, held together, and written down."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from standfast import model_folder
from standfast.errors import ConflictError, CorruptStateError, InvalidInputError, ModelDamagedError
from standfast.manifest import WORK, Manifest, ModelObject, manifest_key, parse_manifest
from standfast.model_folder import Shard
from standfast.replication import MOST_HASHED_BYTES, batches
from standfast.replication_steps import BatchOf, RegistrationPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.model_ports import ModelStore
    from standfast.replication_steps import BatchEnd, RegisterInput

THREADS = 4
"""Objects that one function hashes side by side: as many as its processors are worth."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """What reading an object from end to end found. `tensors` are a shard's."""

    path: str
    size: int
    sha256: str
    crc64nvme: str
    tensors: tuple[str, ...] = ()
    tokenizer_sha256: str = ""


def plan(asked: RegisterInput, execution_name: str, store: ModelStore) -> RegistrationPlan:
    """List the folder and note it down for the steps that hash. Raises InvalidInputError and ModelDamagedError."""
    # A key that ends in / is no file: the console makes one for a folder.
    found = {key: size for key, size in sorted(store.list_folder(asked.prefix).items()) if not key.endswith("/")}
    paths = [key.removeprefix(asked.prefix) for key in found]
    if not paths:
        raise InvalidInputError(f"{asked.prefix} is empty; upload the model there, in this Region's model bucket")
    kind = model_folder.format_of(paths)
    model_folder.check_splits(paths)
    index = model_folder.index_of(paths) if kind == "safetensors" else ""
    for key, size in found.items():
        if size > MOST_HASHED_BYTES:
            raise InvalidInputError(
                f"{key} has {size} bytes; a function can hash {MOST_HASHED_BYTES} in its 15 minutes: split the file "
                "into shards (save_pretrained with max_shard_size, or llama-gguf-split)"
            )
    work = f"{WORK}register/{execution_name}/"
    store.write(f"{work}paths.json", json.dumps(paths).encode())
    return RegistrationPlan(
        model=asked.model,
        version=asked.version,
        prefix=asked.prefix,
        format=kind,
        index=index,
        work=work,
        objects=len(paths),
        bytes=sum(found.values()),
        batches=[BatchOf(**asdict(batch)) for batch in batches(list(found.values()))],
        replicate=asked.replicate,
        execution_name=execution_name,
    )


def hash_batch(plan: RegistrationPlan, batch: BatchOf, store: ModelStore, bucket: str) -> list[Hashed]:
    """Hash a batch's objects and note it down. Raises ModelDamagedError with the file whose header is wrong."""
    paths = _noted(store, f"{plan.work}paths.json")[batch.first : batch.first + batch.count]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        hashed = list(pool.map(partial(_hash, plan.prefix, store, bucket), paths))
    store.write(_hashes(plan, batch), json.dumps([asdict(each) for each in hashed]).encode())
    return hashed


def write_manifest(plan: RegistrationPlan, hashes: Sequence[BatchEnd], store: ModelStore) -> Manifest:
    """Hold the files against each other and write the manifest, unless the same one is there.

    Raises ModelDamagedError where they do not fit, InvalidInputError when the name belongs to another model.
    """
    errors = [each.error for each in hashes if each.error is not None]
    if errors:
        raise ModelDamagedError(f"{plan.prefix} could not be read from end to end: {errors[0].message()}")
    hashed = [Hashed(**each) for batch in plan.batches for each in _noted(store, _hashes(plan, batch))]
    if len(hashed) != plan.objects:
        raise CorruptStateError(f"{len(hashed)} of {plan.objects} hashes lie under {plan.work}; start once more")
    if plan.index:
        shards = {each.path: each.tensors for each in hashed if model_folder.is_shard(each.path)}
        model_folder.check_index(_read_index(store, plan.prefix + plan.index), shards, plan.index)
    manifest = _manifest(plan, hashed, store)
    key = manifest_key(manifest.model, manifest.version)
    if not store.write_once(key, manifest.canonical().encode()):
        known = parse_manifest((store.read(key) or b"").decode(errors="replace"), key)
        if known != manifest:
            raise InvalidInputError(
                f"{manifest.name} is registered already, as something else ({_difference(known, manifest)}); "
                "a manifest is never changed: give what you have now another version"
            )
    return manifest


def _hash(prefix: str, store: ModelStore, bucket: str, path: str) -> Hashed:
    key = prefix + path
    found = store.describe(key)
    if found is not None and not found.crc64nvme:
        # Uploaded with another checksum, or one of its parts: S3 computes the full one when it copies.
        store.copy(bucket, key, found.size)
        found = store.describe(key)
    if found is None:
        raise ConflictError(f"{key} was deleted meanwhile; leave the folder alone while it is registered")
    digest = hashlib.sha256()
    for chunk in store.chunks(key, found.etag):
        digest.update(chunk)
    shard = Shard(())
    if model_folder.is_shard(path):
        shard = model_folder.read_shard(partial(_part, store, key), found.size, path)
    return Hashed(path, found.size, digest.hexdigest(), found.crc64nvme, shard.tensors, shard.tokenizer_sha256)


def _manifest(plan: RegistrationPlan, hashed: list[Hashed], store: ModelStore) -> Manifest:
    description = model_folder.Description()
    hashes: Mapping[str, str] = {each.path: each.sha256 for each in hashed}
    if model_folder.DESCRIPTION in hashes:
        text = store.read(plan.prefix + model_folder.DESCRIPTION) or b""
        description = model_folder.read_description(text)
    shards = [Shard(each.tensors, each.tokenizer_sha256) for each in hashed]
    return Manifest(
        model=plan.model,
        version=plan.version,
        prefix=plan.prefix,
        format="gguf" if plan.format == "gguf" else "safetensors",
        objects=tuple(
            ModelObject(each.path, each.size, each.sha256, each.crc64nvme, len(each.tensors)) for each in hashed
        ),
        index=plan.index,
        tokenizer_sha256=model_folder.tokenizer_sha256(hashes, shards),
        engine=description.engine,
        engine_flags=description.engine_flags,
        golden=description.golden,
    )


def _difference(known: Manifest, new: Manifest) -> str:
    before, after = known.by_key(), new.by_key()
    others = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if others:
        return f"{len(others)} objects differ, such as {others[0]}"
    return (
        "its flags, golden answers or folder differ" if replace(known, objects=()) != replace(new, objects=()) else ""
    )


def _read_index(store: ModelStore, key: str) -> bytes:
    found = store.describe(key)
    if found is None or found.size > model_folder.MOST_INDEX_BYTES:
        raise ModelDamagedError(f"{key} is gone, or has more than {model_folder.MOST_INDEX_BYTES} bytes")
    return store.read(key) or b""


def _part(store: ModelStore, key: str, start: int, length: int) -> bytes:
    return store.read(key, start, length) or b""


def _hashes(plan: RegistrationPlan, batch: BatchOf) -> str:
    return f"{plan.work}hashes-{batch.first:06}.json"


def _noted(store: ModelStore, key: str) -> list[Any]:
    text = store.read(key)
    if text is None:
        raise CorruptStateError(f"{key} is gone: it is kept for a few days only; start once more")
    found: list[Any] = json.loads(text)
    return found
