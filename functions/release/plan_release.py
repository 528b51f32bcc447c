"""PlanRelease: check the input, and ask each cluster's own Region what it holds of the version. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, release_waves
from standfast.bootstrap_releases import fleet_rollouts
from standfast.brake import check_not_frozen
from standfast.errors import AutomationOffError, InvalidInputError
from standfast.fleet import parse_input
from standfast.lease import HolderState
from standfast.release_record import check_may_begin
from standfast.release_steps import Asked, Named, PlanRequest, ReleaseInput, ReleasePlan, as_asked, execution_name
from standfast.release_waves import Way

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the ReleasePlan. Raises what is against a release before any Region is asked. May be repeated."""
    request = parse_input(PlanRequest, event, "the PlanRelease task")
    asked = parse_input(ReleaseInput, as_asked(request.input), "the execution's input")
    config, rollouts = bootstrap.cluster_table().read_config().config, fleet_rollouts()
    if asked.model not in (None, config.model.name):
        raise InvalidInputError(f"model: the fleet serves {config.model.name}, not {asked.model}")
    clusters = _clusters(asked, config)
    if not asked.dry_run:
        table, now = bootstrap.region_table(), bootstrap.clock().now()
        last = table.read_release()
        holder = rollouts.holder_state(last.execution_arn) if last.token else HolderState.ENDED
        check_may_begin(last, request.execution_arn, asked.version, asked.event_id, holder, now)
        if asked.break_glass is None:
            brake = table.read_brake()
            check_not_frozen(brake)
            for each in clusters:
                if why_not := brake.why_not(each.scope_id, each.cluster_id):
                    raise AutomationOffError(f"{why_not}; set it to run first, or give break_glass")
    questions = []
    for each in clusters:
        question = {
            "scope_id": each.scope_id,
            "cluster_id": each.cluster_id,
            "version": asked.version,
            "dryRun": True,
            "reason": asked.reason,
        }
        name = execution_name(request.execution_arn, "plan", each)
        arn = rollouts.start(each.scope_id, Way.BLUE_GREEN, name, question)
        questions.append(Asked(scope_id=each.scope_id, cluster_id=each.cluster_id, execution_arn=arn))
    plan = ReleasePlan(
        execution_arn=request.execution_arn,
        input=asked,
        asked=questions,
        dry_run=asked.dry_run,
        bake_seconds=config.rollouts.wave_bake_seconds if asked.bake_seconds is None else asked.bake_seconds,
    )
    return plan.model_dump(mode="json")


def _clusters(asked: ReleaseInput, config: FleetConfig) -> list[Named]:
    """Those of the waves, else all of the fleet. Whether a Region has the cluster, the Region itself says."""
    if asked.waves is None:
        found = [(scope, name) for scope, region in sorted(config.regions.items()) for name in sorted(region.clusters)]
        return [Named(scope_id=scope, cluster_id=name) for scope, name in found]
    release_waves.check_waves([[(each.scope_id, each.cluster_id) for each in wave] for wave in asked.waves])
    for wave in asked.waves:
        for each in wave:
            config.region(each.scope_id)
    return [each for wave in asked.waves for each in wave]
