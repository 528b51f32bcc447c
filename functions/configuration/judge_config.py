"""JudgeConfig: take the text, and say what this Region would do with it: nothing, adopt it, or refuse, and why."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, config_judging, config_sync
from standfast.config_adoption import Action
from standfast.config_sync import AdoptInput, RegionAnswer
from standfast.fleet import parse_input

STATES = {Action.NONE: "unchanged", Action.APPLY: "would_adopt", Action.REFUSE: "refused"}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the action and, for a dry run, the answer of this Region."""
    asked = parse_input(AdoptInput, event["input"], "the execution's input")
    region = bootstrap.settings().region
    config_judging.fetch(asked, bootstrap.config_bucket())
    adoption = config_judging.judge(
        region,
        asked,
        table=bootstrap.config_table(),
        bucket=bootstrap.config_bucket(),
        models=bootstrap.model_table(),
        scopes=bootstrap.cluster_table(),
    ).adoption
    answer = RegionAnswer(
        region=region,
        state=STATES[adoption.action],
        reason=adoption.reason,
        version=asked.version,
        sha256=asked.sha256,
        changes=config_sync.shortened(adoption.changes),
        mind=adoption.mind,
    )
    return {
        "input": asked.model_dump(mode="json"),
        "action": str(adoption.action),
        "reason": adoption.reason,
        "dry_run": asked.dry_run,
        "answer": answer.model_dump(mode="json"),
    }
