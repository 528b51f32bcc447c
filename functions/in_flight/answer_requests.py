"""AnswerRequests: have requests answered whose server is gone. Started by a failover, and by `checkpoint`.

It works as long as it may, until none is left that was accepted before it began: of this Region, and of one that is
condemned and whose next one it is. May run twice at once: each request has one owner at a time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap, bootstrap_journals, bootstrap_regions, in_flight
from standfast.fleet import parse_input
from standfast.invocation import end_of_work
from standfast.journal import Limits
from standfast.resuming import Resumer
from standfast.resuming_pace import Pace
from standfast.served import serving_of

if TYPE_CHECKING:
    from standfast.invocation import Context


class AnswerInput(BaseModel):
    """`per_second`: how many are begun a second at most; `at_once`: how many are under way at most."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1)
    per_second: float = Field(default=20.0, gt=0, le=1000)
    at_once: int = Field(default=64, ge=1, le=1024)


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer how many requests were replayed, continued, ended, given back or are incomplete, and are left open."""
    asked = parse_input(AnswerInput, event, "the input")
    return asyncio.run(_resume(asked, context))


async def _resume(asked: AnswerInput, context: Context) -> dict[str, Any]:
    region, clock = bootstrap.settings().region, bootstrap.clock()
    fleet, requests = bootstrap.cluster_table().read_config().config, bootstrap_journals.requests()
    resumer = Resumer(
        f"answer-requests/{context.aws_request_id}",
        region,
        in_flight.scopes_of(region, fleet, bootstrap_regions.region_states(), clock.now()),
        requests,
        bootstrap_journals.completer(fleet, region),
        requests.read_serving(region) or serving_of(fleet.model),
        clock,
        limits=Limits(),
        pace=Pace(per_second=asked.per_second, at_once=asked.at_once),
    )
    began = clock.now()
    resumed = await resumer.run(end_of_work(context, clock), accepted_before=began)
    figures = {f"Requests{name.title().replace(' ', '')}": count for name, count in resumed.counts.items()}
    bootstrap.metrics().put({**figures, "RequestsLeftOpen": resumed.left_open}, clock.now())
    return {"reason": asked.reason, **resumed.counts, "left_open": resumed.left_open}
