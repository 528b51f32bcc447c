"""VerifyAdoption: read back what is in force, and only then let the parameter and the model's state say so."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from standfast import bootstrap, config_adoption, config_judging, config_versions
from standfast.config_sync import AdoptInput, RegionAnswer
from standfast.fleet import parse_input


class VerifyStep(BaseModel):
    """What JudgeConfig left."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input: AdoptInput
    answer: RegionAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what became of this Region. Raises ConflictError when something else is in force by now."""
    step = parse_input(VerifyStep, event, "the VerifyAdoption task")
    region, now, table = bootstrap.settings().region, bootstrap.clock().now(), bootstrap.config_table()
    wanted = step.input.as_version()
    meant = config_versions.effective(config_judging.text_of(step.input, bootstrap.config_bucket()), region)
    config_adoption.check_in_force(wanted, step.input.token, meant.digest(), table.standing())
    in_force = bootstrap.cluster_table().read_config().config  # as everybody else reads it
    synced = config_adoption.point(table, bootstrap.config_pointer())
    models = bootstrap.model_table()
    if region in in_force.regions:
        for record in config_adoption.moved_models(models.models(), in_force, wanted, now):
            models.write_model(record)
    answer = step.answer
    state = "unchanged" if answer.state == "unchanged" else "adopted"
    return answer.model_copy(update={"state": state, "adopted_at": synced.at}).model_dump(mode="json")
