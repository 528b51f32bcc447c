"""CheckPlans: what every Region said, and the waves that follow from it. Changes nothing."""

from __future__ import annotations

from typing import Any

from standfast import release_waves
from standfast.bootstrap_releases import fleet_rollouts
from standfast.config_sync import said
from standfast.fleet import parse_input
from standfast.release_steps import PlansAnswer, ReleasePlan, ReleaseTarget, candidate
from standfast.release_waves import Way


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer PlansAnswer, `ready` once all have answered. Raises InvalidInputError: it cannot be released so."""
    plan = parse_input(ReleasePlan, event, "the CheckPlans task")
    outcomes = [fleet_rollouts().progress(each.execution_arn) for each in plan.asked]
    if not all(outcome.ended for outcome in outcomes):
        return PlansAnswer(ready=False).model_dump(mode="json")
    asked = plan.input
    found = release_waves.plan(
        [candidate(each, outcome, said(outcome.cause)) for each, outcome in zip(plan.asked, outcomes, strict=True)],
        None if asked.waves is None else [[(each.scope_id, each.cluster_id) for each in wave] for wave in asked.waves],
        asked.way if isinstance(asked.way, Way) else None,
        asked.version,
    )
    waves = [
        [
            ReleaseTarget(scope_id=each.scope_id, cluster_id=each.cluster_id, way=each.way, before=each.before)
            for each in wave
        ]
        for wave in found.waves
    ]
    lines = [f"{asked.version} goes out in {len(waves)} waves, {plan.bake_seconds} s between two. {asked.reason}"]
    for number, wave in enumerate(waves, 1):
        lines.append(
            f"wave {number}: {', '.join(f'{each.cluster_id} in {each.scope_id} by {each.way}' for each in wave)}"
        )
    lines += [f"left out: {why}" for why in found.left_out]
    lines += [str(outcome.output["planned"]) for outcome in outcomes if outcome.output is not None]
    return PlansAnswer(ready=True, waves=waves, text="\n".join(lines)).model_dump(mode="json")
