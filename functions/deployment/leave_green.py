"""LeaveGreen: green is given up. All traffic leaves it, and it is no cluster of the fleet any more."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, deployments, traffic
from standfast.announcements import cause_in_words
from standfast.deployment_keeping import ours, write
from standfast.deployment_steps import BrokenDeployment
from standfast.deployments import Phase
from standfast.errors import NotConvergedError, NotServingError
from standfast.fleet import parse_input
from standfast.planned_move import serves


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer why, and how long streams under way may take to end.

    Raises FencedError, NotConvergedError once blue has gone, and NotServingError while nothing else is proven to serve:
    then the weights stay as they are.
    May be repeated.
    """
    step = parse_input(BrokenDeployment, event, "the LeaveGreen task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    deployment, desired = ours(view.scope, step), view.scope.desired
    why = deployment.undoing or (cause_in_words(step.error) if step.error else step.reason)
    had_traffic = desired.weights.get(step.green, 0) > 0 or desired.move is not None
    if deployment.phase is Phase.RETIRING:
        raise NotConvergedError(f"{step.green} stands in the place of {step.cluster_id} already: there is no way back")
    fresh = view.applied.config.detection.fresh_seconds
    proven = {name: serves(found, fresh, now) for name, found in view.assessments.items()}
    way = deployments.decide_way_back(desired, deployment, proven)
    if way.weights is None:
        raise NotServingError(way.reason)
    why = f"{why.rstrip('.')}. {way.reason}"
    following = desired.next(
        token=step.token,
        reason=f"{step.green} is given up: {why}",
        now=now,
        weights=way.weights,
        roles=way.roles,
        ends_move=True,
        models={step.green: None},
        deployment=deployments.undone(deployment, why),
    )
    write(step, view.scope, following, table)
    entry = table.view().applied.config.region(step.scope_id).bound_entry()
    traffic.apply_desired(step.scope_id, entry, table, bootstrap.load_balancer())
    return {"reason": why, "at": now, "drain_seconds": step.drain_seconds if had_traffic else 0}
