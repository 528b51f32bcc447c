"""The steps of `pull_model`: a Region looks at what it has, copies what is missing, and verifies the whole."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from standfast import model_folder, replication
from standfast.errors import CorruptStateError, InvalidInputError, ModelDamagedError, StandfastError
from standfast.golden_store import GoldenAnswers
from standfast.manifest import WORK, manifest_key
from standfast.model_states import WHOLE, ModelRecord, ModelState
from standfast.replication import SINGLE_COPY_BYTES, Damage, batches
from standfast.replication_steps import BatchOf, Copied, PullPlan, RegionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.golden_store import GoldenStore
    from standfast.manifest import Manifest, ModelObject
    from standfast.model_ports import ModelStore
    from standfast.model_states import ModelStates
    from standfast.replication import Stored
    from standfast.replication_steps import CopyStep, PullInput, VerifyStep

THREADS = 16
"""Calls to S3 that one function has under way."""


def plan(
    asked: PullInput,
    manifest: Manifest,
    region: str,
    store: ModelStore,
    execution_name: str,
    now: float,
    *,
    left_to_s3: bool = False,
) -> PullPlan:
    """What is missing or wrong in this Region, noted down for the steps that copy it, or that watch S3 bring it.

    `left_to_s3`: a replication rule of S3 brings it. Uploads that lie here may then be S3's own, and are left alone.
    """
    before = store.calls
    listed = store.list_folder(manifest.prefix)
    # Of another size it is wrong already; only what could be right is asked for its checksum.
    likely = [key for key, each in manifest.by_key().items() if listed.get(key) == each.size]
    sized = {key: replication.Stored(size, "") for key, size in listed.items()}
    wrong = replication.damages(manifest, sized | _described(store, likely))
    due = [each for each in manifest.objects if each.path in wrong]
    going_on = {manifest.prefix + each.path for each in due if each.size > SINGLE_COPY_BYTES}
    aborted = 0 if left_to_s3 and due else store.abort_uploads(manifest.prefix, keep=going_on)
    found = PullPlan(
        model=manifest.model,
        version=manifest.version,
        prefix=manifest.prefix,
        source_region=asked.source_region,
        region=region,
        trigger=asked.trigger,
        work=f"{WORK}pull/{execution_name}/",
        objects=len(manifest.objects),
        bytes=manifest.bytes,
        due=len(due),
        due_bytes=sum(each.size for each in due),
        damaged=replication.by_kind(wrong),
        batches=[BatchOf(**asdict(batch)) for batch in batches([each.size for each in due])],
        aborted_uploads=aborted,
        api_calls=0,
        began_at=now,
        canary=asked.canary,
    )
    write_due(found, store, [[manifest.prefix + each.path, each.size, each.crc64nvme] for each in due])
    return found.model_copy(update={"api_calls": store.calls - before})


def read_due(plan: PullPlan, store: ModelStore) -> list[Any]:
    """Key, size and CRC64NVME of every object that is due. Raises CorruptStateError when the list is gone."""
    text = store.read(f"{plan.work}due.json")
    if text is None:
        raise CorruptStateError(f"{plan.work}due.json is gone: it is kept for a few days only; start once more")
    found: list[Any] = json.loads(text)
    return found


def write_due(plan: PullPlan, store: ModelStore, due: list[Any]) -> None:
    """Note down what is due, over what was noted before."""
    store.write(f"{plan.work}due.json", json.dumps(due).encode())


def copy_batch(step: CopyStep, store: ModelStore, source_bucket: str) -> Copied:
    """Copy a batch's objects. Raises the first error once all others were tried, so that one hides no other."""
    due = read_due(step.plan, store)[step.batch.first : step.batch.first + step.batch.count]
    one = partial(_copy, store, source_bucket, again=step.attempt > 0)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="copy") as pool:
        results = list(pool.map(one, due))
    errors = [each for each in results if isinstance(each, StandfastError)]
    if errors:
        raise errors[0]
    sizes = [each for each in results if isinstance(each, int)]
    return Copied(copied=len(sizes), bytes=sum(sizes))


def _copy(store: ModelStore, source_bucket: str, due: list[Any], *, again: bool) -> int | StandfastError | None:
    """Bytes that were copied, None when it was there already, or what went wrong."""
    key, size, crc64nvme = due
    try:
        if again:
            found = store.describe(key)
            if found is not None and (found.size, found.crc64nvme) == (size, crc64nvme):
                return None
        store.copy(source_bucket, key, size, crc64nvme)
    except StandfastError as error:
        return error
    return int(size)


def verify(manifest: Manifest, store: ModelStore) -> dict[str, Damage]:
    """Path -> what is wrong with it, of every object: by size and checksum, and each shard by its header."""
    keys = manifest.by_key()
    wrong = replication.damages(manifest, _described(store, list(keys)))
    shards = [each for each in manifest.objects if model_folder.is_shard(each.path) and each.path not in wrong]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="header") as pool:
        readable = list(pool.map(partial(_is_readable, manifest.prefix, store), shards))
    unreadable = [each.path for each, fine in zip(shards, readable, strict=True) if not fine]
    return wrong | dict.fromkeys(unreadable, Damage.UNREADABLE)


def keep_manifest(manifest: Manifest, store: ModelStore) -> None:
    """Write the manifest here too. Raises InvalidInputError when another one has its name in this Region."""
    key, text = manifest_key(manifest.model, manifest.version), manifest.canonical().encode()
    if not store.write_once(key, text) and store.read(key) != text:
        raise InvalidInputError(f"{key} in this Region is another model's; give one of the two another version")


def note_plan(plan: PullPlan, manifest: Manifest, table: ModelStates, now: float) -> None:
    """Write down that the model is not whole here, where it is not: from now on nothing may newly point at it."""
    known = table.read_model(plan.model, plan.version)
    if plan.due or known is None or known.manifest_sha256 != manifest.digest():
        record = _record(plan, manifest, known, now)
        kinds = ", ".join(f"{count} {kind}" for kind, count in plan.damaged.items()) or "it is looked at"
        table.write_model(record.replicating(f"{plan.due} of {plan.objects} objects are due: {kinds}", now))


def note_damage(
    step: VerifyStep, manifest: Manifest, wrong: Mapping[str, Damage], table: ModelStates, now: float
) -> str:
    """Write down what is wrong here, and answer it in a sentence, with the first error that a batch ended with."""
    plan = step.plan
    errors = [each.error.message() for each in step.copies if each.error is not None]
    why = f"; {len(errors)} of {len(step.copies)} batches failed, the first: {errors[0]}" if errors else ""
    by_rule = f"; by its rule {plan.s3.reason}" if plan.s3.reason else ""
    said = f"{manifest.name} is not whole in {plan.region}: {replication.in_words(wrong)}{why}{by_rule}"
    known = table.read_model(plan.model, plan.version)
    table.write_model(_record(plan, manifest, known, now).replicating(said, now))
    return said


def note_verified(plan: PullPlan, manifest: Manifest, table: ModelStates, answers: GoldenStore, now: float) -> None:
    """Write down that the model is whole here, and what it answers, unless that was recorded here before."""
    if manifest.golden and not answers.read_golden(manifest.model, manifest.version):
        golden = GoldenAnswers(manifest.model, manifest.version, manifest.golden, "", "its manifest has them", now)
        answers.write_golden(golden)
    known = table.read_model(plan.model, plan.version)
    if known is None or known.state not in WHOLE or known.manifest_sha256 != manifest.digest():
        known = _record(plan, manifest, known, now)
    table.write_model(known.verified(f"all {plan.objects} objects are the manifest's", now))


def status(step: VerifyStep, manifest: Manifest, api_calls: int, now: float) -> RegionStatus:
    """What `pull_model` answers, and `replicate_model` of this Region."""
    plan, seconds = step.plan, max(0.0, now - step.plan.began_at)
    copied = sum(each.bytes for each in step.copies)
    return RegionStatus(
        region=plan.region,
        state="verified",
        objects=len(manifest.objects),
        objects_in_all=len(manifest.objects),
        bytes=manifest.bytes,
        bytes_in_all=manifest.bytes,
        bytes_per_second=round(copied / seconds, 1) if seconds else 0.0,
        eta_seconds=0.0,
        seconds=round(seconds, 3),
        damaged=plan.damaged,
        copied=sum(each.copied for each in step.copies),
        by_s3=plan.s3.due - plan.s3.missing,
        s3_left=plan.s3.left,
        s3_reason=plan.s3.reason,
        aborted_uploads=plan.aborted_uploads,
        api_calls=plan.api_calls + api_calls + sum(each.api_calls for each in step.copies),
        verified_at=now,
    )


def copy_figures(copied: Copied, seconds: float) -> dict[str, float]:
    """Metrics of one batch."""
    rate = copied.bytes / seconds if seconds > 0 else 0.0
    return {
        "ModelObjectsCopied": copied.copied,
        "ModelBytesCopied": copied.bytes,
        "ModelBytesPerSecond": rate,
    }


def verify_figures(manifest: Manifest, wrong: Mapping[str, Damage]) -> dict[str, float]:
    """Metrics of a verification."""
    return {
        "ModelVerified": 0.0 if wrong else 1.0,
        "ModelObjects": len(manifest.objects),
        "ModelBytes": manifest.bytes,
        "ModelDamagedObjects": len(wrong),
    }


def metric_name(plan: PullPlan) -> str:
    """The dimension Model."""
    return f"{plan.model} {plan.version}" if plan.version else plan.model


def _record(plan: PullPlan, manifest: Manifest, known: ModelRecord | None, now: float) -> ModelRecord:
    """The record to go on with: of this manifest, with what was known of the model here."""
    fresh = ModelRecord(
        manifest.model,
        manifest.version,
        ModelState.REPLICATING,
        manifest.digest(),
        plan.source_region,
        "",
        now,
        bytes=manifest.bytes,
        objects=len(manifest.objects),
    )
    if known is None:
        return fresh
    return replace(fresh, revision=known.revision, live_since=known.live_since, verified_at=known.verified_at)


def _described(store: ModelStore, keys: list[str]) -> dict[str, Stored]:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        found = zip(keys, pool.map(store.describe, keys), strict=True)
        return {key: stored for key, stored in found if stored is not None}


def _is_readable(prefix: str, store: ModelStore, shard: ModelObject) -> bool:
    def read(start: int, length: int) -> bytes:
        return store.read(prefix + shard.path, start, length) or b""

    try:
        found = model_folder.read_shard(read, shard.size, shard.path)
    except ModelDamagedError:
        return False
    return len(found.tensors) == shard.tensors
