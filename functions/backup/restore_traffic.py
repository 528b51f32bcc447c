"""RestoreTraffic: roles and weights as the backup has them, as far as it is proven now that they serve."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_making, restore_planning
from standfast.failover import Proof
from standfast.fleet import parse_input
from standfast.restore_steps import ProvenStep, TrafficAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what became of the traffic; `wait` where nothing is proven yet. May be repeated.

    Raises FencedError when the lease is somebody else's, NotConvergedError when the rule will not settle.
    """
    step = parse_input(ProvenStep, event, "the RestoreTraffic task")
    now, scopes = bootstrap.clock().now(), bootstrap.cluster_table()
    goal = restore_planning.kept(step, bootstrap_backup.backups(), bootstrap_backup.state_tables()).goal
    restore_making.check_held(step, scopes)
    proofs = [Proof(**proof.model_dump()) for proof in step.proofs]
    decision = restore_making.restore_traffic(step, goal, proofs, scopes, bootstrap.load_balancer(), now)
    return TrafficAnswer(
        action=str(decision.action), reason=decision.reason, weights=dict(decision.weights)
    ).model_dump()
