"""FreezeAutomation: write down what was, take the lease, and set this Region's switch to off."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, bootstrap_backup, restore_making, restore_planning
from standfast.fleet import parse_input
from standfast.restore_steps import FreezeAnswer, RestorePlan


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the fencing token. May be repeated: what was written down first stands.

    An item that nobody can understand makes room here, after it was written down: without it there is no lease.
    Raises LeaseHeldError while a failover or a planned move is at work, ConflictError while another restore is.
    """
    step = parse_input(RestorePlan, event, "the FreezeAutomation task")
    now, tables, scopes = bootstrap.clock().now(), bootstrap_backup.state_tables(), bootstrap.cluster_table()
    switches = bootstrap.region_table()
    goal = restore_planning.kept(step, bootstrap_backup.backups(), tables).goal
    items = tables.read_decisive()
    restore_making.write_down(step, goal, items, tables, switches, bootstrap_backup.restore_log(), now)
    present = tables.understood(items)
    restore_making.make_readable(goal, items, present, tables, scopes, bootstrap.load_balancer(), now)
    token, frozen = restore_making.freeze(step, goal, scopes, bootstrap.executions(), switches, now)
    return FreezeAnswer(token=token, frozen=frozen, at=now).model_dump()
