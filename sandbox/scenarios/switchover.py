"""`switchover`: all users of a Region are sent to the other one in stages, by records, and none of them fails.

A planned move may use Route 53's control plane. It waits until every name server has a stage's weights, bakes it under
judgement, and goes on; clients follow when what they believe is too old.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Record
    from sandbox.scenario import Stage

NAME: Final = "switchover"
STAGES: Final = (10, 50, 100)
BAKE_SECONDS: Final = 25
"""Longer than a TTL: a stage is judged when its users are there."""
SETTLE_SECONDS: Final = 25.0
AFTER_SECONDS: Final = 30.0
LIMIT_SECONDS: Final = 600.0
LEAST_REQUESTS: Final = 5000


def run(stage: Stage) -> Report:
    """Once, away from the stage's Region."""
    from sandbox import edge, region_moves

    sandbox, source = stage.sandbox, stage.region
    (target,) = (region for region in sandbox.regions.values() if region is not source)
    name = sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    counts = {region.name: len(edge.records_of(region)) for region in sandbox.regions.values()}
    told = {stack.name: len(stack.messages()) for stack in sandbox.stacks}
    began = time.time()
    stage.say(f"the users of {source.name} go to {target.name} in stages {', '.join(map(str, STAGES))}")
    arn = region_moves.start(
        target,
        {
            "mode": "switchover",
            "region": source.name,
            "reason": "the scenario empties the Region as planned",
            "by": "sandbox",
            "stages": list(STAGES),
            "bake_seconds": BAKE_SECONDS,
        },
    )
    ended = region_moves.wait_for_end(target, arn, LIMIT_SECONDS)
    took = time.time() - began
    if ended["status"] != "SUCCEEDED":
        raise SandboxError(f"the switchover {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    target.wait_for("enough requests", lambda: _made(sandbox.regions.values(), counts) >= LEAST_REQUESTS, 300.0)
    time.sleep(AFTER_SECONDS)
    records = [
        record for region in sandbox.regions.values() for record in edge.records_of(region)[counts[region.name] :]
    ]
    late = [record for record in edge.records_of(source) if record.sent_at > began + took + AFTER_SECONDS / 2]
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "shed_requests": sum(record.shed for record in records),
        "move_seconds": round(took, 3),
        "still_at_source": sum(record.region == source.name for record in late),
        "weights": dict(name.weights(source.name)),
        "pages": sum(each.topic == "page" for stack in sandbox.stacks for each in stack.messages()[told[stack.name] :]),
    }
    faults = problems(figures, source.name, target.name)
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    timeline = [Moment(0.0, "switchover", f"{source.name} to {target.name}")]
    timeline += [Moment(round(at - began, 3), "state", state) for at, state in region_moves.states_entered(target, arn)]
    timeline += _shares(records, began, source.name)
    return Report(NAME, source.name, figures, sorted(timeline, key=lambda moment: moment.at), faults)


def problems(figures: Mapping[str, Any], source: str, target: str) -> list[str]:
    """What did not come out as it must."""
    wanted = ("failed_requests", "shed_requests", "still_at_source", "pages")
    faults = [f"{key}: {figures[key]}, 0 is wanted" for key in wanted if figures[key]]
    if figures["requests"] < LEAST_REQUESTS:
        faults.append(f"requests: {figures['requests']}, {LEAST_REQUESTS} at least are wanted")
    if figures["weights"] != {source: 0, target: 255}:
        faults.append(f"the records say {figures['weights']}")
    return faults


def _made(regions: Any, counts: Mapping[str, int]) -> int:
    from sandbox import edge

    return sum(len(edge.records_of(region)) - counts[region.name] for region in regions)


def _shares(records: Sequence[Record], began: float, source: str) -> list[Moment]:
    """Where the users went, half a minute at a time."""
    moments = []
    for number in range(int((max(record.sent_at for record in records) - began) // 30.0) + 1):
        part = [record for record in records if number * 30.0 <= record.sent_at - began < (number + 1) * 30.0]
        here = sum(record.region == source for record in part)
        moments.append(Moment(number * 30.0, "users", f"{here} of {len(part)} requests in 30 s at {source}"))
    return moments


SCENARIO = Scenario(NAME, "a Region's users are sent to the other one in stages: no request fails", run)
