"""What to do about a failure that AWS announces: move in time, let one node be mended, or tell. Pure.

| what goes | then |
|---|---|
| nothing of ours, or the event is over | nothing |
| nodes of a cluster that has no traffic | told: a lost standby is rebuilt, see redundancy |
| fewer of the active cluster's replicas than it can spare | told: mended at replica level, within recovery's budgets |
| more of them than it can spare | a switchover before the deadline where `moves.planned_events` wants it, else told with its input |

A move that has to be made and cannot be is a page. Times are seconds since the epoch.
"""  # noqa: E501 - a row of a table is one line

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast import planned_move, redundancy
from standfast.errors import InvalidInputError
from standfast.fleet import Role
from standfast.move_rules import WHOLE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from standfast.brake import Brake
    from standfast.move_rules import Moves
    from standfast.planned_notices import Notice
    from standfast.stores import View

TRIGGER = "planned event"
"""Of the executions that are started for one: should one give up, somebody is woken."""
TOGETHER_SECONDS = 3600.0
"""What AWS takes within so long after the deadline goes with it: a node is not replaced sooner."""
MOVE_SECONDS = 60.0
"""What a switchover takes beside its bakes: lease, proof, and the writes of each stage."""
URGENT_SECONDS = 12 * 3600.0
"""What has to be done by a person sooner than this wakes somebody."""

MOST_NAMED = 10
"""Instances that a sentence names; a cluster may have hundreds."""


class PlannedAction(StrEnum):
    """What is done about a planned event."""

    IGNORE = "ignore"
    TELL = "tell"
    ASK = "ask a person to move"
    MOVE = "move"
    CANNOT = "cannot be done"


@dataclass(frozen=True, slots=True)
class PlannedDecision:
    """What to do for one cluster, and why. `execution_name` is the same for each delivery of the same event.

    `payload` is the input of the switchover, where one is called for: made, or to be made by a person. `urgent`: there
    is little time for a person.
    """

    action: PlannedAction
    reason: str
    cluster_id: str = ""
    execution_name: str = ""
    payload: Mapping[str, object] = field(default_factory=dict)
    urgent: bool = False


def decide(
    notice: Notice, named: Collection[str], scheduled: Mapping[str, float], view: View, brake: Brake, now: float
) -> list[PlannedDecision]:
    """What to do, by cluster. `named` are the instances of the event; `scheduled` is instance id -> when AWS takes it,
    for all of our instances that it will take.
    """
    if notice.over:
        return [PlannedDecision(PlannedAction.IGNORE, f"{notice.what} is over, by AWS's own word")]
    if notice.region not in ("", view.scope.scope_id):  # AWS Health delivers to a second Region too
        return [PlannedDecision(PlannedAction.IGNORE, f"{notice.what} is of {notice.region}")]
    soon = {name for name, at in scheduled.items() if at <= notice.deadline + TOGETHER_SECONDS}
    found = []
    for cluster_id in sorted(view.applied.config.region(view.scope.scope_id).clusters):
        registered = {each.replica_id.partition(":")[0] for each in view.replicas.get(cluster_id, ())}
        if registered & set(named):
            found.append(_for_cluster(notice, cluster_id, registered & (set(named) | soon), view, brake, now))
    return found or [PlannedDecision(PlannedAction.IGNORE, f"{notice.what} names no instance of ours")]


def _for_cluster(
    notice: Notice, cluster_id: str, going: set[str], view: View, brake: Brake, now: float
) -> PlannedDecision:
    replicas = view.replicas[cluster_id]
    expected = view.applied.config.region(view.scope.scope_id).cluster(cluster_id).replicas
    left = sum(each.replica_id.partition(":")[0] not in going for each in replicas)
    named = ", ".join(sorted(going)[:MOST_NAMED]) + f" and {len(going) - MOST_NAMED} more" * (len(going) > MOST_NAMED)
    loses = f"{cluster_id} loses {named} ({notice.what}): {left} of {expected} replicas are left"
    if view.scope.desired.cluster_with(Role.ACTIVE) != cluster_id:
        without = (
            "; from then on the Region may be without a standby, until it is rebuilt" if 2 * left < expected else ""
        )
        return PlannedDecision(
            PlannedAction.TELL, f"{loses}. It is not the active cluster: nothing is moved{without}", cluster_id
        )
    if 2 * left >= expected:
        return PlannedDecision(
            PlannedAction.TELL,
            f"{loses}, which is enough: nothing is moved. What is gone is replaced by its Auto Scaling group, and "
            "cluster_recovery looks after it",
            cluster_id,
        )
    return _move(notice, cluster_id, loses, view, brake, now)


def _move(notice: Notice, cluster_id: str, loses: str, view: View, brake: Brake, now: float) -> PlannedDecision:
    scope, rules = view.scope, view.applied.config.moves
    urgent = notice.deadline - now < URGENT_SECONDS
    name = execution_name(scope.scope_id, notice, cluster_id)
    stages = _stages(rules, notice.deadline - rules.planned_event_margin_seconds - now)
    payload: dict[str, object] = {
        "mode": "switchover",
        "scope_id": scope.scope_id,
        "reason": f"AWS announces that {loses}",
        "trigger": TRIGGER,
        **({"stages": stages} if stages and stages != rules.stages else {}),
    }

    def found(action: PlannedAction, why: str) -> PlannedDecision:
        return PlannedDecision(action, f"{loses}, which is too few; {why}", cluster_id, name, payload, urgent)

    if why_not := brake.why_not(scope.scope_id, cluster_id):
        return found(PlannedAction.ASK, f"nothing is moved: {why_not}")
    if rules.planned_events == "tell":
        return found(PlannedAction.ASK, "moves.planned_events is tell, so a person moves the traffic")
    standings = redundancy.standings(view, brake, now)
    proven = [each.cluster_id for each in standings if not each.why_not]
    if not proven:
        reasons = "; ".join(each.why_not for each in standings)
        return found(PlannedAction.CANNOT, f"no standby is proven to take its traffic: {reasons}")
    try:
        planned_move.admit("switchover", None, view, brake, view.applied.config.region(scope.scope_id), now)
    except InvalidInputError as error:  # what TakeLease would say, with nobody there to see it
        return found(PlannedAction.CANNOT, str(error))
    if not stages:
        left = notice.deadline - now
        return found(PlannedAction.CANNOT, f"{max(left, 0.0):.0f} s are left, too little for a move under judgement")
    if scope.lease.holder is not None and not scope.lease.holder.endswith(f":{name}"):  # the event may come twice
        return found(PlannedAction.CANNOT, f"{scope.lease.holder} is changing the traffic just now")
    return found(PlannedAction.MOVE, f"a switchover to {proven[0]} is started, {' → '.join(map(str, stages))} %")


def _stages(rules: Moves, seconds: float) -> list[int]:
    """The stages that there is time for: all, or one step that bakes once; none where that is too long too."""
    for stages in (rules.stages, [WHOLE]):
        if len(stages) * rules.bake_seconds + MOVE_SECONDS <= seconds:
            return stages
    return []


def is_for_one(execution_arn: str, scope_id: str) -> bool:
    """Whether an execution was started for a planned event: nobody stands at the console and sees how it ends."""
    return execution_arn.rpartition(":")[2].startswith(f"{scope_id}-planned-")


def execution_name(scope_id: str, notice: Notice, cluster_id: str) -> str:
    """One name an event and cluster, so that an event that comes twice moves once; at most 80 characters."""
    digest = hashlib.sha256(f"{notice.event_id}\n{cluster_id}".encode()).hexdigest()
    return f"{scope_id}-planned-{digest[:24]}"
