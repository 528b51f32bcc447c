"""Where the traffic goes when a restore that did not succeed is put back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import planned_move
from standfast.failover import FAILED
from standfast.restoring import TrafficAction, TrafficDecision
from standfast.rule_weights import of_clusters
from standfast.traffic import shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.fleet import Role
    from standfast.health import Assessment
    from standfast.traffic import Desired


def decide(
    before: Desired, present: Desired, assessments: Mapping[str, Assessment], fresh_seconds: float, now: float
) -> TrafficDecision:
    """Back, if the watch finds that what had the traffic before serves.

    Never to what failed since, whether it answers or not (law 7): a person says when that is mended.
    """
    if shares(before.weights) == shares(present.weights):
        return _keep("no traffic had moved", present, _roles(before, present))
    back = planned_move.settled(before)
    had = [name for name, weight in of_clusters(back).items() if weight]
    failed = [f"{name} is {present.roles[name]}" for name in had if present.roles.get(name) in FAILED]
    if failed:
        return _keep(f"{', '.join(failed)} since, so the weights stay as they are", present, present.roles)
    silent = [name for name in had if not planned_move.serves(assessments.get(name), fresh_seconds, now)]
    if silent:
        reason = f"{', '.join(silent)} is not found to serve, so the weights stay as they are"
        return _keep(reason, present, present.roles)
    return TrafficDecision(TrafficAction.MOVE, f"{', '.join(had)} serves", back, _roles(before, present))


def _keep(reason: str, present: Desired, roles: Mapping[str, Role]) -> TrafficDecision:
    return TrafficDecision(TrafficAction.KEEP, reason, present.weights, roles)


def _roles(before: Desired, present: Desired) -> dict[str, Role]:
    return {**before.roles, **{name: role for name, role in present.roles.items() if role in FAILED}}
