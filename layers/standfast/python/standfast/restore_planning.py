"""Planning a restore: which backup, what it would change, and what of it is to be had here. Changes no state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standfast import backup, manifest, replication, restoring, state_at
from standfast.backup import Found
from standfast.errors import BackupRefusedError, CorruptStateError, InvalidInputError, ModelDamagedError
from standfast.restore_steps import SHOWN, RefusedBackup, RestorePlan
from standfast.state_journal import ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.backup import Opened
    from standfast.backup_ports import BackupStore, Items, StateTables
    from standfast.backup_taking import Backups
    from standfast.journal_ports import StateJournal
    from standfast.model_ports import ModelStore
    from standfast.model_states import ModelRecord
    from standfast.replication import Damage
    from standfast.restore_steps import PlanRestoreInput, RestoreInput
    from standfast.restoring import Wanted


@dataclass(frozen=True, slots=True)
class Source:
    """What is put back, as it was found. `last_change_at`: of the last change that is in it."""

    opened: Opened
    found: Found
    items: Items
    came_from: str
    gaps: tuple[str, ...]
    last_change_at: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What the steps of a restore put back, as it lies in the bucket."""

    goal: Wanted
    texts: Mapping[str, str]
    manifests: Mapping[str, str]


def find(asked: RestoreInput, backups: Backups, journal: StateJournal, now: float) -> Source:
    """The backup that was asked for. Raises BackupRefusedError, InvalidInputError."""
    moment = asked.moment.timestamp() if asked.moment else None
    if moment is not None and moment > now:
        raise InvalidInputError("moment: is in the future; give one that is past")
    if asked.snapshot_id is not None:
        opened, found = backups.open(asked.snapshot_id, now), None
        if moment is not None and moment < opened.manifest.ended_at:
            raise InvalidInputError("moment: is before the snapshot that snapshot_id names; name an older one, or none")
    else:
        opened, found = backups.require(now, now if moment is None else moment)
    cut, name = opened.cut, opened.manifest.snapshot_id
    known = found or Found(opened, ())
    if moment is None:
        return Source(opened, known, cut.items, f"backup {name}", (), cut.ended_at)
    replayed = state_at.state_at(moment, cut, journal)
    gaps = tuple(gap.reason for gap in replayed.gaps)
    if gaps and not asked.accept_gaps:
        said = "; ".join(gaps[:5])
        raise BackupRefusedError(f"the journal lacks something ({said}); another moment, or accept_gaps: true")
    came_from = f"backup {name} with {replayed.changes} changes up to {backup.in_words(moment)}"
    return Source(opened, known, replayed.items, came_from, gaps, replayed.last_change_at or cut.ended_at)


def plan(
    given: PlanRestoreInput, asked: RestoreInput, source: Source, tables: StateTables, store: BackupStore, now: float
) -> RestorePlan:
    """What the restore would do. What is to be put back is written down in the bucket, once for the execution."""
    region = source.opened.manifest.region
    goal = restoring.wanted(region, source.came_from, tables.understood(source.items))
    present = tables.understood(tables.read_decisive())
    lines = restoring.changes(goal, present)
    body = _canonical(
        {
            "items": [
                [key.table, key.pk, key.sk, item]
                for key, item in sorted(tables.decisive(source.items).items(), key=lambda pair: pair[0])
            ],
            "texts": source.opened.contents["configuration"]["texts"],
            "manifests": source.opened.contents["models"]["manifests"],
        }
    )
    digest = hashlib.sha256(body).hexdigest()
    key = f"restores/{region}/{given.execution_name}-{digest[:16]}.json"
    store.write_once(key, body)
    until = asked.moment.timestamp() if asked.moment else now
    return RestorePlan(
        region=region,
        execution_arn=given.execution_arn,
        execution_name=given.execution_name,
        by=asked.by,
        reason=f"a restore by {asked.by}: {asked.reason}",
        dry_run=asked.dry_run,
        snapshot_id=source.opened.manifest.snapshot_id,
        came_from=source.came_from,
        wanted_key=key,
        wanted_sha256=digest,
        config_sha256=goal.config.digest(),
        serves=goal.serves,
        changes=list(lines[:SHOWN]),
        more_changes=max(0, len(lines) - SHOWN),
        gaps=list(source.gaps[:SHOWN]),
        refused=[RefusedBackup.of(each) for each in source.found.refused[:SHOWN]],
        planned_at=now,
        data_loss_window_seconds=max(0.0, round(until - source.last_change_at, 3)),
    )


def kept(step: RestorePlan, store: BackupStore, tables: StateTables) -> Kept:
    """What PlanRestore wrote down. Raises BackupRefusedError when it is not that any more."""
    body = store.read(step.wanted_key)
    if body is None or hashlib.sha256(body).hexdigest() != step.wanted_sha256:
        raise BackupRefusedError(f"{step.wanted_key} is not what was planned; start the restore again")
    found = json.loads(body)
    items = {ItemKey(table, pk, sk): item for table, pk, sk, item in found["items"]}
    goal = restoring.wanted(step.region, step.came_from, tables.understood(items))
    return Kept(goal, found["texts"], found["manifests"])


def digest_of(items: Items) -> str:
    """SHA-256 of items, hexadecimal: the same for the same items."""
    rows = [[key.table, key.pk, key.sk, item] for key, item in sorted(items.items(), key=lambda pair: pair[0])]
    return hashlib.sha256(_canonical({"items": rows})).hexdigest()


def verify_artefacts(found: Kept, store: ModelStore, *, mends: bool) -> dict[str, str]:
    """Model in words -> what its objects lack in this Region's bucket, of every model that is to be whole.

    The objects are held against the manifest; where it is missing here, against the backup's, which `mends` puts back.
    Raises ModelDamagedError where the configuration's own model is not whole: no restore points at it.
    """
    damages: dict[str, Mapping[str, Damage] | None] = {}
    for record in found.goal.models:
        damages[_named(record)] = _damages(record, found, store, mends=mends)
    named = found.goal.config.model
    own = f"{named.name} {named.version}" if named.version else named.name
    why_not = restoring.artefact_refusal(found.goal, damages, replication.in_words(damages.get(own) or {}))
    if why_not is not None:
        raise ModelDamagedError(why_not)
    nowhere = "its manifest is nowhere"
    lacks = {name: nowhere if each is None else replication.in_words(each) for name, each in damages.items()}
    return {name: text for name, text in lacks.items() if text}


def _damages(record: ModelRecord, found: Kept, store: ModelStore, *, mends: bool) -> Mapping[str, Damage] | None:
    key = manifest.manifest_key(record.model, record.version)
    kept_text = found.manifests.get(key)
    body = store.read(key)
    text = body.decode(errors="replace") if body is not None else kept_text
    if text is None:
        return None
    try:
        meant = manifest.parse_manifest(text, _named(record))
    except CorruptStateError as error:
        raise ModelDamagedError(str(error)) from error
    if meant.digest() != record.manifest_sha256:
        raise ModelDamagedError(
            f"the manifest of {_named(record)} in {found.goal.region} is another than the one it was verified by"
        )
    if body is None and mends:
        store.write_once(key, text.encode())
    described = {each: store.describe(each) for each in meant.by_key()}
    return replication.damages(meant, {each: there for each, there in described.items() if there is not None})


def _named(record: ModelRecord) -> str:
    return f"{record.model} {record.version}" if record.version else record.model


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
