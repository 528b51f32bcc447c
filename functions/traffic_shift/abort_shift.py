"""AbortShift: give the move up. The weights of before are restored, unless the source died meanwhile."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, move_announcements, move_judgement, shifting, traffic
from standfast.fleet import parse_input
from standfast.shifting import AbortStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether the weights are what the decision wants, and the whole of it in words.

    Raises FencedError when somebody else holds the lease by now: then the traffic is theirs.
    """
    step = parse_input(AbortStep, event, "the AbortShift task")
    table, now = bootstrap.cluster_table(), bootstrap.clock().now()
    view = table.view()
    shifting.check_lease(view.scope, step.holder, step.token)
    config, desired = view.applied.config, view.scope.desired
    fresh = config.detection.fresh_seconds
    why = move_announcements.why_aborted(step)
    decision = move_judgement.decide_abort(step.move, desired, view.assessments, fresh, now)
    if decision.weights is not None:
        if desired.move is not None or traffic.shares(desired.weights) != traffic.shares(decision.weights):
            reason = f"{why}; {decision.reason}"
            following = desired.next(token=step.token, reason=reason, now=now, weights=decision.weights, ends_move=True)
            table.write_desired(step.scope_id, token=step.token, seen_version=desired.version, desired=following)
        entry = config.region(step.scope_id).bound_entry()
        desired = traffic.apply_desired(step.scope_id, entry, table, bootstrap.load_balancer())
    text = f"{why}. {decision.reason} ({traffic.describe(desired.weights)})."
    return {"settled": decision.weights == step.move.before, "text": text}
