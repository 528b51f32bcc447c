"""A release's execution was stopped, timed out, or could not tell its end: what it has under way is stopped too.

Started by EventBridge: no Catch runs then. The reconciler of each Region puts back what a stopped rollout has touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standfast import bootstrap
from standfast.bootstrap_releases import fleet_rollouts
from standfast.ended_execution import ended_in
from standfast.errors import InvalidInputError


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the executions that were stopped. One that ended with a word of its own is left alone. May be repeated."""
    ended = ended_in(event)
    if ended is None:
        raise InvalidInputError("the event is not of Step Functions; leave this function to its rule")
    table = bootstrap.region_table()
    last = table.read_release()
    if last.execution_arn != ended.execution_arn or last.ended:
        return {"stopped": []}
    reason = f"its execution {ended.status}"
    for arn in last.executions:
        fleet_rollouts().stop(arn, f"the release ended: {reason}")
    text = (
        f"The release of {last.version} ended: {reason}. Nothing further starts. What was under way is stopped, and "
        "put back by the reconciler of its Region; clusters of earlier waves keep the version.\n"
        f"The release: {last.execution_arn}\n" + "\n".join(last.executions)
    )
    messenger = bootstrap.messenger()
    messenger.notice(f"The release of {last.version} was stopped", text)
    detail = {"execution_arn": last.execution_arn, "version": last.version, "text": text}
    messenger.event("ReleaseStopped", detail)
    table.write_release(replace(last, ended="stopped", reason=reason), seen=last)
    return {"stopped": list(last.executions)}
