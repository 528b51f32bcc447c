"""LoadCanary: the verified version is loaded on one replica of a standby here, asked, and put back."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, canary_load
from standfast.canary_load import CanaryAnswer, CanaryStep
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer how it stands; asked again until it has ended. Raises NotServingError when the replica did not serve.

    May be repeated: one load is started for each pull.
    """
    step = parse_input(CanaryStep, event, "the LoadCanary task")
    plan, pulls, table = step.plan, bootstrap.pulls(), bootstrap.cluster_table()
    if step.canary.execution_arn:
        return canary_load.stands(step.canary, pulls.look(step.canary.execution_arn)).model_dump(mode="json")
    if plan.region not in table.read_config().config.regions:
        return CanaryAnswer(ended=True, said=f"no canary load: {plan.region} has no clusters").model_dump(mode="json")
    chosen = canary_load.choose(plan, table.view())
    if not chosen.cluster_id:
        return CanaryAnswer(ended=True, said=chosen.reason).model_dump(mode="json")
    name = f"{step.execution_name[: canary_load.NAME_CHARACTERS]}-canary"
    arn = pulls.start_canary(plan.region, name, canary_load.payload(plan, chosen.cluster_id))
    return CanaryAnswer(ended=False, execution_arn=arn, said=chosen.reason).model_dump(mode="json")
