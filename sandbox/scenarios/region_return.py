"""`region-return`: users come back to a Region that was given up, in stages, when the hold-down is over. None fails.

A person evacuates the Region first; nothing is wrong with it. A return at once is refused: that is what flaps are made
of. The second one comes when the hold-down, shortened here, is over: a tenth of the users by record, then the
condemnation is lifted, then all of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Stage

NAME: Final = "region-return"
STAGES: Final = (10, 50, 100)
BAKE_SECONDS: Final = 25
"""Longer than a TTL: a stage is judged when its users are there."""
SETTLE_SECONDS: Final = 25.0
LEFT_SECONDS: Final = 60.0
AFTER_SECONDS: Final = 40.0
LIMIT_SECONDS: Final = 600.0


def run(stage: Stage) -> Report:
    """There and back, once."""
    from sandbox import edge, region_moves

    sandbox, away = stage.sandbox, stage.region
    (stays,) = (region for region in sandbox.regions.values() if region is not away)
    name = sandbox.open_name()
    time.sleep(SETTLE_SECONDS)
    edge.refuse_failures(sandbox.regions.values())
    counts = {region.name: len(edge.records_of(region)) for region in sandbox.regions.values()}
    asked = {"region": away.name, "by": "sandbox"}
    began = time.time()

    def since() -> float:
        return round(time.time() - began, 3)

    timeline = [Moment(0.0, "evacuation", f"a person gives {away.name} up")]
    evacuated = region_moves.run(
        stays, {**asked, "mode": "evacuate", "reason": "the scenario gives it up"}, LIMIT_SECONDS
    )
    if evacuated["status"] != "SUCCEEDED":
        raise SandboxError(f"the evacuation {evacuated['status']}: {evacuated.get('cause')}")
    stays.wait_for("Route 53 to leave it", lambda: not name.serves(away.name), LEFT_SECONDS)
    timeline.append(Moment(since(), "Route 53 leaves it"))
    back = {**asked, "mode": "return", "reason": "the scenario brings them back", "stages": list(STAGES),
            "bake_seconds": BAKE_SECONDS}  # fmt: skip
    early = region_moves.run(stays, back, LIMIT_SECONDS)
    timeline.append(Moment(since(), "return at once", f"{early['status']}: {early.get('cause')}"))
    sandbox.apply_config(region_moves={"global_url": name.url, "hold_down_seconds": 0})
    time.sleep(SETTLE_SECONDS)  # until every client is away
    led_away = [record for record in edge.records_of(away) if record.sent_at > time.time() - 5.0]
    timeline.append(Moment(since(), "return", f"in stages {', '.join(map(str, STAGES))}"))
    stage.say(f"the users of {away.name} come back in stages")
    found = region_moves.run(stays, back, LIMIT_SECONDS)
    timeline.append(Moment(since(), "return ended", f"{found['status']} {found.get('cause') or ''}".strip()))
    time.sleep(AFTER_SECONDS)
    late = [record for record in edge.records_of(away) if record.sent_at > time.time() - 5.0]
    records = [
        record for region in sandbox.regions.values() for record in edge.records_of(region)[counts[region.name] :]
    ]
    figures: dict[str, Any] = {
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "refused_before_hold_down": early["status"] == "FAILED" and "held down" in str(early.get("cause")),
        "returned": found["status"] == "SUCCEEDED",
        "away_before": sum(record.region != away.name for record in led_away) == len(led_away) > 0,
        "not_home_after": sum(record.region != away.name for record in late),
        "condemned_after": away.name in edge.record(stays).condemned,
        "weights": dict(name.weights(away.name)),
    }
    timeline += [
        Moment(round(at - began, 3), "state", entered)
        for at, entered in region_moves.states_entered(stays, str(found["executionArn"]))
    ]
    faults = problems(figures, away.name, stays.name)
    faults += [f"denied: {each.role} lacks {each.action} on {each.resource}" for each in sandbox.cloud.denials()]
    return Report(NAME, away.name, figures, sorted(timeline, key=lambda moment: moment.at), faults)


def problems(figures: Mapping[str, Any], away: str, stays: str) -> list[str]:
    """What did not come out as it must."""
    faults = [f"{key}: {figures[key]}, 0 is wanted" for key in ("failed_requests", "not_home_after") if figures[key]]
    faults += [
        f"{key} did not hold" for key in ("refused_before_hold_down", "returned", "away_before") if not figures[key]
    ]
    if figures["condemned_after"]:
        faults.append(f"{away} is condemned still")
    if figures["weights"] != {away: 255, stays: 0}:
        faults.append(f"the records say {figures['weights']}")
    return faults


SCENARIO = Scenario(NAME, "users come back to a Region that was given up, in stages, after the hold-down", run)
