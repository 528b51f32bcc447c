"""PutBack: what was before a restore that did not succeed.

A state of `restore`, and invoked by EventBridge when an execution of it was stopped or timed out, which runs no Catch;
or by a person, with {}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import backup_announcements, bootstrap, bootstrap_backup, lease, telling
from standfast.ended_execution import ended_in
from standfast.fleet import parse_input
from standfast.lease import HolderState
from standfast.restore_steps import PutBackStep
from standfast.restore_undoing import Undoer

if TYPE_CHECKING:
    from standfast.invocation import Context

STEP_SECONDS = 60.0


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer what was put back, a sentence each. May be repeated: what was put back is not put back again."""
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    log, executions = bootstrap_backup.restore_log(), bootstrap.executions()
    ended = ended_in(event)
    step = parse_input(PutBackStep, event, "the PutBack task") if event and ended is None else None
    undo = log.read_undo()
    is_own = step is not None and undo is not None and undo.execution_arn == step.execution_arn
    if undo is None or (step is not None and not is_own):
        said: list[str] = []
    elif not is_own and executions.holder_state(undo.execution_arn) is not HolderState.ENDED:
        return {"said": [f"{undo.execution_arn} is at work"]}
    else:
        # Another token than that of an execution that ended: a step of it may still be at work.
        claimant = (
            undo.execution_arn
            if is_own
            else lease.step_holder("put-back-restore", context.aws_request_id, now + STEP_SECONDS)
        )
        said = Undoer(
            region,
            log,
            bootstrap_backup.state_tables(),
            bootstrap.config_table(),
            bootstrap.config_pointer(),
            bootstrap.model_table(),
            bootstrap.cluster_table(),
            bootstrap.region_table(),
            bootstrap.load_balancer(),
            executions,
        ).put_back(undo, claimant, now)
    execution = step.execution_arn if step else undo.execution_arn if undo else ""
    if step is not None or undo is not None:
        announcement = backup_announcements.put_back(region, execution, step.error if step else None, said)
        telling.send(announcement, region, bootstrap.messenger())
    return {"said": said}
