"""PlanSync: check the document for every Region, give it a number, and keep its text. Or find an earlier version."""

from __future__ import annotations

import json
from typing import Any

from standfast import bootstrap, config_sync, config_versions
from standfast.config_reading import read_document
from standfast.config_sync import PlanInput, SyncInput, SyncPlan
from standfast.config_versions import ConfigVersion
from standfast.errors import CorruptStateError, InvalidInputError
from standfast.fleet import parse_input

SHOWN = 10


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the plan. What is invalid for any Region is refused here, before any Region is asked."""
    task = parse_input(PlanInput, event, "the task")
    asked = parse_input(SyncInput, task.input, "the execution's input")
    earlier = None if asked.version is None else _find(asked.version)
    if earlier is None:
        text = config_versions.canonical_text(read_document(asked.config or {}))
        document = json.loads(text)
    else:
        text = bootstrap.config_bucket().read_version(earlier)
        document = config_versions.read_text(text, earlier)
    config_versions.effective_everywhere(document)

    table, bucket = bootstrap.region_table(), bootstrap.config_bucket()
    last, synced = table.read_turn(), bootstrap.config_table().standing().synced
    turn, number = config_sync.next_turn(
        last,
        task.execution_arn,
        None if earlier else text,
        newest=next(iter(bucket.newest(1)), None),
        token_here=synced.token if synced else 0,
    )
    version = earlier or ConfigVersion(number, config_versions.sha256(text))
    if not asked.dry_run:
        if turn != last:
            table.take_turn(turn, seen=last)
        bucket.put_version(version, text)
    plan = SyncPlan(
        version=version.version,
        sha256=version.sha256,
        token=turn.token,
        dry_run=asked.dry_run,
        text=text if asked.dry_run else "",
        regions=config_versions.regions_of(document),
        name=config_sync.execution_name(task.execution_arn, asked.dry_run),
        by=asked.by,
        reason=asked.reason,
    )
    return plan.model_dump(mode="json")


def _find(number: int) -> ConfigVersion:
    bucket = bootstrap.config_bucket()
    found = bucket.versions(number)
    if not found:
        kept = ", ".join(str(each.version) for each in bucket.newest(SHOWN)) or "none"
        raise InvalidInputError(f"version: there is no {number} here; the newest are {kept}")
    if len(found) > 1:
        keys = ", ".join(each.key for each in found)
        raise CorruptStateError(f"version {number} is kept twice: {keys}; delete the one that no Region has")
    return found[0]
