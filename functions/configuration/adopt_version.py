"""AdoptVersion: judged once more, then written by compare-and-set together with the version that it is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, config_adoption, config_judging, configuration
from standfast.config_adoption import Action
from standfast.config_sync import AdoptInput
from standfast.errors import FencedError
from standfast.fleet import parse_input


class AdoptStep(BaseModel):
    """What JudgeConfig left."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input: AdoptInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the table's revision. May be repeated: what is in force already is not written again.

    Raises FencedError when what was possible a moment ago is not any more: a later sync was here, traffic moved, the
    model is whole no more.
    """
    asked = parse_input(AdoptStep, event, "the AdoptVersion task").input
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    table, scopes = bootstrap.config_table(), bootstrap.cluster_table()
    judged = config_judging.judge(
        region, asked, table=table, bucket=bootstrap.config_bucket(), models=bootstrap.model_table(), scopes=scopes
    )
    if judged.config is None or judged.adoption.action is Action.REFUSE:
        raise FencedError(f"what was judged a moment ago holds no more: {judged.adoption.reason}")
    standing = judged.standing
    if judged.adoption.action is Action.APPLY:
        synced = config_adoption.synced_now(asked.as_version(), asked.token, judged.config, asked.by, now)
        standing = table.write_standing(judged.config, seen_revision=standing.revision, synced=synced)
    if region in judged.config.regions:
        scopes.create(configuration.first_record(region, judged.config, now))
    return {"revision": standing.revision}
