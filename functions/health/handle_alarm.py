"""The second way in: a CloudWatch alarm went off. Look for ourselves, and start the same failover as the watch would.

An alarm is a reason to look, never evidence. Nothing is told from here: in the VPC no topic can be reached. The alarm
of a silent watch tells people itself, a failover tells what it does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.watch import Watch

if TYPE_CHECKING:
    from standfast.failover import StartDecision

LOOK_SECONDS = 8.0
"""A wedged cluster is known for sure within four seconds; twice that for a machine that is slow, too."""

logger = logging.getLogger("standfast.alarm")


class AlarmState(BaseModel):
    """The state that an alarm went into, and CloudWatch's reason."""

    value: Literal["ALARM", "OK", "INSUFFICIENT_DATA"]
    reason: str = ""


class AlarmDetail(BaseModel):
    """The `detail` of a "CloudWatch Alarm State Change" event, as far as it is used. AWS may add fields."""

    model_config = ConfigDict(populate_by_name=True)

    alarm: str = Field(alias="alarmName", min_length=1)
    state: AlarmState


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what was found and done, in a sentence."""
    detail = event.get("detail")
    alarm = parse_input(AlarmDetail, detail if isinstance(detail, dict) else {}, "the event's detail")
    if alarm.state.value != "ALARM":
        return {"action": "none", "found": f"{alarm.alarm} is {alarm.state.value}: there is nothing to look for"}
    decision = asyncio.run(_look(alarm.alarm))
    logger.warning("%s went off: %s: %s", alarm.alarm, decision.action, decision.reason)
    return {"action": str(decision.action), "found": f"{alarm.alarm} went off. {decision.reason}"}


async def _look(alarm: str) -> StartDecision:
    table, clock = bootstrap.cluster_table(), bootstrap.clock()
    model = (await asyncio.to_thread(table.read_config)).config.model
    watch = Watch(
        scope_id=bootstrap.settings().region,
        store=table,
        switches=bootstrap.region_table(),
        evidence=table,
        executions=bootstrap.executions(),
        prober=bootstrap.prober(model),
        clock=clock,
        metrics=bootstrap.metrics(),
        trigger=f"alarm {alarm}",
    )
    return await watch.look(clock.now() + LOOK_SECONDS)
